# BYOL's two views (official code), which MoCo v3, VICReg and Barlow Twins took over.
# Photometrics are BYOL's, the defaults of a view: jitter (0.4, 0.4, 0.2, 0.1) with 0.8, gray 0.2, sigma of the blur 0.1 to 2 px.
_base_ = ['../datasets/imagenet.py']
train_dataloader = dict(
    dataset=dict(
        views=dict(
            type='eqssl.MultiCrop',
            views=[
                dict(group='global', size=224, scale=(0.08, 1.0), blur_prob=1.0),
                dict(group='global', size=224, scale=(0.08, 1.0), blur_prob=0.1, solarize_prob=0.2),
            ],
        ),
    )
)
