# Two global crops of 32 px; iBOT's photometrics with a blur that fits 32 px.
_photo = dict(jitter=(0.4, 0.4, 0.2, 0.1), jitter_prob=0.8, gray_prob=0.2, blur_sigma=(0.1, 0.6))
train_dataloader = dict(
    batch_size=128,
    num_workers=0,
    dataset=dict(
        type='eqssl.MultiViewDataset',
        views=dict(
            type='eqssl.MultiCrop',
            views=[
                dict(group='global', size=32, scale=(0.3, 1.0), blur_prob=0.5, **_photo),
                dict(group='global', size=32, scale=(0.3, 1.0), blur_prob=0.1, solarize_prob=0.2, **_photo),
            ],
        ),
        mask=dict(type='eqssl.PatchMask', grid=4, ratio=(0.0, 0.3), variance=(0.0, 0.2)),
    ),
)
