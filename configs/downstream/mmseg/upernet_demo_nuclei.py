# reproduces: nothing published; UPerNet on the embedded nuclei (real microscopy, 128 px tiles) from a checkpoint of the demo
# cost:       60 iterations of 4 tiles of 128 px, about half a minute on two cores
# command:    python tools/train.py configs/downstream/mmseg/upernet_demo_nuclei.py --cfg-options checkpoint=work_dirs/demo_ibot_cifar10_seed0/iter_300.pth
# expected:   a falling loss and an mIoU above that of one class everywhere (0.40)
# measured:   mIoU 84.1 +- 1.7; from random weights 83.6 +- 0.8 (docs/en/user_guides/downstream.md)
_base_ = ['../_base_/mmseg_runtime.py', '../_base_/upernet_vits.py', '../_base_/adamw_layer_decay.py']
data_root = 'nuclei'
_norm = dict(type='BN', requires_grad=True)
model = dict(
    data_preprocessor=dict(mean=[32.0] * 3, std=[24.0] * 3, size=(128, 128)),
    backbone=dict(
        arch=dict(_delete_=True, embed_dims=128, num_layers=4, num_heads=4, feedforward_channels=512),
        img_size=32,
        patch_size=8,
        out_indices=(0, 1, 2, 3),
        final_norm=True,
        drop_path_rate=0.0,
    ),
    neck=dict(embed_dim=128, norm_cfg=_norm),
    decode_head=dict(in_channels=[128] * 4, channels=32, num_classes=2, norm_cfg=_norm),
    auxiliary_head=dict(in_channels=128, channels=16, num_classes=2, norm_cfg=_norm),
    test_cfg=dict(_delete_=True, mode='whole'),
)
_dataset = dict(
    type='mmseg.BaseSegDataset',
    data_root=data_root,
    metainfo=dict(classes=('background', 'nucleus'), palette=[[0, 0, 0], [255, 160, 0]]),
    img_suffix='.png',
    seg_map_suffix='.png',
)
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        **_dataset,
        data_prefix=dict(img_path='images/train', seg_map_path='masks/train'),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='mmseg.LoadAnnotations'),
            dict(type='RandomFlip', prob=0.5),
            dict(type='RandomFlip', prob=0.5, direction='vertical'),
            dict(type='mmseg.PackSegInputs'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **_dataset,
        data_prefix=dict(img_path='images/val', seg_map_path='masks/val'),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='mmseg.LoadAnnotations'),
            dict(type='mmseg.PackSegInputs'),
        ],
    ),
)
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=7e-4), paramwise_cfg=dict(layer_decay=0.65))  # 60 iterations need larger steps
train_cfg = dict(max_iters=60, val_interval=60)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=10),
    dict(type='PolyLR', eta_min=0.0, power=1.0, by_epoch=False, begin=10, end=60),
]
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=60), visualization=dict(draw=True, interval=1))
