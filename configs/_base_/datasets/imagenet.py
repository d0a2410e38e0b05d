# A plain tree of images, flat or nested; ImageNet-1k's train folder by default. Labels are read only where a recipe sets with_label.
data_root = 'data/imagenet/train'
train_dataloader = dict(
    num_workers=10,
    prefetch_factor=4,
    dataset=dict(type='eqssl.MultiViewDataset', source=dict(type='eqssl.ImageFolder')),
)
