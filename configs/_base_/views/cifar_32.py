# SimCLR's views for CIFAR: two crops of 32 px, strong color jitter, no blur.
_photo = dict(jitter=(0.4, 0.4, 0.4, 0.1), jitter_prob=0.8, gray_prob=0.2, blur_prob=0.0)
data_root = 'cifar10'
train_dataloader = dict(
    batch_size=128,
    dataset=dict(
        type='eqssl.MultiViewDataset',
        source=dict(type='eqssl.ArrayImages', split='train'),
        views=dict(
            type='eqssl.MultiCrop',
            views=[dict(group='global', size=32, num=2, scale=(0.2, 1.0), **_photo)],
        ),
    ),
)
