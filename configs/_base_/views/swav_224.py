# SwAV's views (official code): 2 crops of 224 px, 6 crops of 96 px, one photometric distribution.
_base_ = ['../datasets/imagenet.py']
_photo = dict(jitter=(0.8, 0.8, 0.8, 0.2), jitter_prob=0.8, gray_prob=0.2, blur_prob=0.5, blur_sigma=(0.1, 2.0))
train_dataloader = dict(
    dataset=dict(
        views=dict(
            type='eqssl.MultiCrop',
            views=[
                dict(group='global', size=224, num=2, scale=(0.14, 1.0), **_photo),
                dict(group='local', size=96, num=6, scale=(0.05, 0.14), **_photo),
            ],
        ),
    )
)
