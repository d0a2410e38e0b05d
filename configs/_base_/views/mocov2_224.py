# MoCo v2's views, which SimSiam took over: two crops of 224 px from one distribution.
_base_ = ['../datasets/imagenet.py']
_photo = dict(jitter=(0.4, 0.4, 0.4, 0.1), jitter_prob=0.8, gray_prob=0.2, blur_prob=0.5, blur_sigma=(0.1, 2.0))
train_dataloader = dict(
    dataset=dict(
        views=dict(
            type='eqssl.MultiCrop',
            views=[
                dict(group='global', size=224, num=2, scale=(0.2, 1.0), **_photo),
            ],
        ),
    )
)
