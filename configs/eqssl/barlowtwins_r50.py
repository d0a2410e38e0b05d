# reproduces: Barlow Twins, ResNet-50, ImageNet-1k, 1000 epochs (Zbontar et al. 2021, official code), batch 2048
# cost:       50.8 GFLOP per image (tools/analysis/profile_step.py)
# command:    tools/dist_train.sh configs/eqssl/barlowtwins_r50.py 32
# expected:   linear top-1 73.5 (official README)
# measured:   not run to the end by us
_base_ = [
    '../_base_/models/resnet50.py',
    '../_base_/views/byol_224.py',
    '../_base_/schedules/lars.py',
    '../_base_/runtime/imagenet.py',
]
# 1 / 32: the official code sums C over 32 GPUs without its gradient, so that its gradients are a 32nd of ours
model = dict(head=dict(type='eqssl.BarlowTwinsHead', redundancy_weight=0.0051, scale=0.03125))
train_dataloader = dict(batch_size=64)
optim_wrapper = dict(optimizer=dict(lr=1.6), paramwise_cfg=dict(norm_bias_lr=0.024))
param_scheduler = [dict(type='eqssl.CosineSchedule', param_name='lr', warmup=10, final=0.0016)]
train_cfg = dict(type='eqssl.PretrainLoop', max_epochs=1000)
auto_scale_lr = dict(base_batch_size=2048, enable=False)
