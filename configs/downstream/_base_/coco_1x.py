# COCO 2017 (data_root/{train2017,val2017,annotations}) as mmdet reads it, 12 epochs of 16 images: AdamW, lr 1e-4, layer decay, steps at 8
# and 11.
_base_ = ['mmdet::_base_/datasets/coco_instance.py', 'mmdet_runtime.py']
train_dataloader = dict(batch_size=2, num_workers=4)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=12, val_interval=1)
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='eqssl.OptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(layer_decay=0.8, decay_tokens=False),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=12, milestones=[8, 11], gamma=0.1),
]
auto_scale_lr = dict(enable=False, base_batch_size=16)
