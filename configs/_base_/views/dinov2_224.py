# DINOv2's views (vitl16_short): iBOT's for large models, with 8 local crops.
_base_ = ['ibot_224_large.py']
_photo = dict(jitter=(0.4, 0.4, 0.2, 0.1), jitter_prob=0.8, gray_prob=0.2, blur_sigma=(0.1, 2.0))
train_dataloader = dict(
    dataset=dict(
        views=dict(
            views=[
                dict(group='global', size=224, scale=(0.32, 1.0), blur_prob=1.0, **_photo),
                dict(group='global', size=224, scale=(0.32, 1.0), blur_prob=0.1, solarize_prob=0.2, **_photo),
                dict(group='local', size=96, num=8, scale=(0.05, 0.32), blur_prob=0.5, **_photo),
            ]
        )
    )
)
