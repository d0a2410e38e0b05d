# DINOv2's views (vitl16_short): iBOT's for large models, with 8 local crops.
# Photometrics are BYOL's, the defaults of a view: jitter (0.4, 0.4, 0.2, 0.1) with 0.8, gray 0.2, sigma of the blur 0.1 to 2 px.
_base_ = ['ibot_224_large.py']
train_dataloader = dict(
    dataset=dict(
        views=dict(
            views=[
                dict(group='global', size=224, scale=(0.32, 1.0), blur_prob=1.0),
                dict(group='global', size=224, scale=(0.32, 1.0), blur_prob=0.1, solarize_prob=0.2),
                dict(group='local', size=96, num=8, scale=(0.05, 0.32), blur_prob=0.5),
            ]
        )
    )
)
