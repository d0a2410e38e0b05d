# BYOL's two views (official code), which MoCo v3, VICReg and Barlow Twins took over.
_base_ = ['../datasets/imagenet.py']
_photo = dict(jitter=(0.4, 0.4, 0.2, 0.1), jitter_prob=0.8, gray_prob=0.2, blur_sigma=(0.1, 2.0))
train_dataloader = dict(
    dataset=dict(
        views=dict(
            type='eqssl.MultiCrop',
            views=[
                dict(group='global', size=224, scale=(0.08, 1.0), blur_prob=1.0, **_photo),
                dict(group='global', size=224, scale=(0.08, 1.0), blur_prob=0.1, solarize_prob=0.2, **_photo),
            ],
        ),
    )
)
