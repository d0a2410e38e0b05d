# reproduces: SwAV, ResNet-50, ImageNet-1k, 2 x 224 + 6 x 96 px, 200 epochs (Caron et al. 2020, official script), batch 4096
# cost:       75.6 GFLOP per image (tools/analysis/profile_step.py)
# command:    tools/dist_train.sh configs/eqssl/swav_r50.py 32
# expected:   linear top-1 73.9 (official README)
# measured:   not run to the end by us
_base_ = [
    '../_base_/models/resnet50.py',
    '../_base_/views/swav_224.py',
    '../_base_/schedules/lars.py',
    '../_base_/runtime/imagenet.py',
]
model = dict(
    backbone=dict(zero_init_residual=False),
    head=dict(type='eqssl.SwAVHead', prototypes=3000, epsilon=0.05, freeze_prototypes_iters=313),
)
train_dataloader = dict(batch_size=128)
optim_wrapper = dict(paramwise_cfg=dict(decay_norm_bias=True))
param_scheduler = [
    dict(type='eqssl.CosineSchedule', param_name='lr', warmup=10, warmup_start=0.0625, final=0.0048),
]
train_cfg = dict(type='eqssl.PretrainLoop', max_epochs=200)
auto_scale_lr = dict(base_batch_size=4096, enable=False)
