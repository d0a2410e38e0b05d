# iBOT's views for ViT-B and ViT-L (crop scales split at 0.32): 2 global crops of 224 px, 10 local crops of 96 px, block masks of ratio 0 or 0.3 +- 0.2.
# Photometrics are BYOL's, the defaults of a view: jitter (0.4, 0.4, 0.2, 0.1) with 0.8, gray 0.2, sigma of the blur 0.1 to 2 px.
_base_ = ['../datasets/imagenet.py']
train_dataloader = dict(
    dataset=dict(
        views=dict(
            type='eqssl.MultiCrop',
            views=[
                dict(group='global', size=224, scale=(0.32, 1.0), blur_prob=1.0),
                dict(group='global', size=224, scale=(0.32, 1.0), blur_prob=0.1, solarize_prob=0.2),
                dict(group='local', size=96, num=10, scale=(0.05, 0.32), blur_prob=0.5),
            ],
        ),
        mask=dict(type='eqssl.PatchMask', grid=14, ratio=(0.0, 0.3), variance=(0.0, 0.2), shape='block'),
    )
)
