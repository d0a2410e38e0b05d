# DINO's views for ResNet-50 (README of the official code): crop scales split at 0.14.
# Photometrics are BYOL's, the defaults of a view: jitter (0.4, 0.4, 0.2, 0.1) with 0.8, gray 0.2, sigma of the blur 0.1 to 2 px.
_base_ = ['../datasets/imagenet.py']
train_dataloader = dict(
    dataset=dict(
        views=dict(
            type='eqssl.MultiCrop',
            views=[
                dict(group='global', size=224, scale=(0.14, 1.0), blur_prob=1.0),
                dict(group='global', size=224, scale=(0.14, 1.0), blur_prob=0.1, solarize_prob=0.2),
                dict(group='local', size=96, num=8, scale=(0.05, 0.14), blur_prob=0.5),
            ],
        ),
    )
)
