_base_ = ['../_base_/runtime/default.py']
_photo = dict(jitter=(0.4, 0.4, 0.2, 0.1), jitter_prob=0.8, gray_prob=0.2, blur_sigma=(0.1, 0.6))
data_root = '/root/.cache/eqssl/cifar10'
model = dict(
    type='eqssl.SSLPretrainer',
    data_preprocessor=dict(type='eqssl.ViewAugmenter', max_sigma=0.6),
    backbone=dict(
        type='eqssl.VisionTransformer',
        arch=dict(embed_dims=128, num_layers=4, num_heads=4, feedforward_channels=512),
        img_size=32,
        patch_size=8,
    ),
    neck=dict(type='eqssl.SplitNeck', in_channels=128, out_channels=768, equi_dims=256),
    head=dict(
        type='eqssl.IBOTHead', in_channels=128, hidden=256, bottleneck=128, out_dim=512,
        norm_last_layer=True, warmup_teacher_temp=0.04, teacher_temp=0.04, warmup_teacher_temp_epochs=1,
        momentum=0.99, freeze_last_layer_epochs=0,
    ),
    auxiliary=dict(
        recon=dict(
            type='eqssl.IntermediateRecon', weight=1.0, path=dict(type='eqssl.SE2', degrees=45.0, pixels=4.0, reference=32, padding='reflect'),
            decoder=dict(type='eqssl.ReconDecoder', width=64, channels=(64, 32, 16)), num_images=2,
        )
    ),
)
train_dataloader = dict(
    batch_size=128,
    num_workers=0,
    dataset=dict(
        type='eqssl.MultiViewDataset',
        source=dict(type='eqssl.ArrayImages', split='train'),
        views=dict(
            type='eqssl.MultiCrop',
            views=[
                dict(size=32, scale=(0.3, 1.0), blur_prob=0.5, group='global', **_photo),
                dict(size=32, scale=(0.3, 1.0), blur_prob=0.1, solarize_prob=0.2, group='global', **_photo),
            ],
        ),
        mask=dict(type='eqssl.PatchMask', grid=4),
    ),
)
train_cfg = dict(type='eqssl.PretrainLoop', max_iters=450)
optim_wrapper = dict(
    type='eqssl.OptimWrapper',
    constructor='eqssl.OptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.04),
    clip_grad=dict(max_norm=3.0, per_parameter=True),
)
param_scheduler = [
    dict(type='eqssl.CosineSchedule', param_name='lr', final=1e-5, warmup=50, by_epoch=False),
    dict(type='eqssl.CosineSchedule', param_name='weight_decay', final=0.04, by_epoch=False),
]
default_hooks = dict(checkpoint=dict(interval=200, by_epoch=False), logger=dict(interval=10))

evaluation = dict(
    train=dict(type='eqssl.ArrayImages', split='train', start=0, stop=40000),
    test=dict(type='eqssl.ArrayImages', split='train', start=40000, stop=50000),
    size=32,
    limits=dict(train=10000, test=2000),
    tasks=dict(
        knn=dict(type='eqssl.KNN'),
        equivariance=dict(
            type='eqssl.Equivariance',
            paths=dict(
                rotation=dict(type='eqssl.Rotation', padding='reflect'),
                translation=dict(type='eqssl.Translation', pixels=4.0, reference=32, padding='reflect'),
                color=dict(type='eqssl.Color'),
                blur=dict(type='eqssl.Blur', sigma=(0.1, 1.5)),
            ),
            hidden=256,
            epochs=20,
            train=4000,
        ),
        collapse=dict(type='eqssl.Collapse'),
    ),
)
