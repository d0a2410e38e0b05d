# reproduces: VICReg, ResNet-50, ImageNet-1k, 1000 epochs (Bardes et al. 2022, official code), batch 2048
# cost:       51.2 GFLOP per image (tools/analysis/profile_step.py)
# command:    tools/dist_train.sh configs/eqssl/vicreg_r50.py 32
# expected:   linear top-1 73.2 (official README)
# measured:   not run to the end by us
_base_ = [
    '../_base_/models/resnet50.py',
    '../_base_/views/byol_224.py',
    '../_base_/schedules/lars.py',
    '../_base_/runtime/imagenet.py',
]
model = dict(head=dict(type='eqssl.VICRegHead', sim_weight=25.0, std_weight=25.0, cov_weight=1.0))
train_dataloader = dict(batch_size=64)
optim_wrapper = dict(optimizer=dict(lr=1.6))
param_scheduler = [dict(type='eqssl.CosineSchedule', param_name='lr', warmup=10, final=0.0016)]
train_cfg = dict(type='eqssl.PretrainLoop', max_epochs=1000)
auto_scale_lr = dict(base_batch_size=2048, enable=False)
