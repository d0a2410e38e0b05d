# reproduces: SwAV with a queue for small batches, ResNet-50, ImageNet-1k, 200 epochs (official script), batch 256
# cost:       75.6 GFLOP per image (tools/analysis/profile_step.py)
# command:    tools/dist_train.sh configs/eqssl/swav_r50_b256.py 4
# expected:   linear top-1 72.7 (official README)
# measured:   not run to the end by us
_base_ = [
    '../_base_/models/resnet50.py',
    '../_base_/views/swav_224.py',
    '../_base_/schedules/lars.py',
    '../_base_/runtime/imagenet.py',
]
model = dict(
    backbone=dict(zero_init_residual=False),
    head=dict(
        type='eqssl.SwAVHead',
        prototypes=3000,
        epsilon=0.05,
        queue_length=3840,
        queue_start_epoch=15,
        freeze_prototypes_iters=5005,
    )
)
train_dataloader = dict(batch_size=64)
optim_wrapper = dict(optimizer=dict(lr=0.6), paramwise_cfg=dict(decay_norm_bias=True))
param_scheduler = [dict(type='eqssl.CosineSchedule', param_name='lr', final=0.0006)]
train_cfg = dict(type='eqssl.PretrainLoop', max_epochs=200)
auto_scale_lr = dict(base_batch_size=256, enable=False)
