# reproduces: nothing published; the base of simclr_recon_photos.py: SimCLR (Chen et al. 2020) on windows of 100 photographs
# cost:       0.41 GFLOP per image; 540 iterations of 128 images, 2 to 4 minutes on two cores
# command:    python tools/train.py configs/demo/simclr_photos.py
# expected:   kNN (which of 100 photographs) far above raw pixels and random initialization; less R2 than simclr_recon_photos.py
# measured:   kNN 0.845 +- 0.004 (raw pixels 0.506, random initialization 0.574), R2 mean 0.639 +- 0.008 (0.462, 0.432) (three seeds, CPU)
_base_ = [
    '../_base_/models/resnet18_narrow.py',
    '../_base_/schedules/minutes.py',
    '../_base_/demo_evaluation.py',
]
data_root = 'photos'
# early stages at half the usual resolution: most of the time of so narrow a network goes into them
model = dict(
    backbone=dict(stem_channels=24, base_channels=24, strides=(2, 2, 2, 1)),
    head=dict(type='eqssl.SimCLRHead', temperature=0.2),
    channels_last=True,
)
# SimCLR's photometrics for ImageNet, strength 1, with a blur that fits 32 px
_photo = dict(
    jitter=(0.8, 0.8, 0.8, 0.2), jitter_prob=0.8, gray_prob=0.2, blur_prob=0.5, blur_sigma=(0.1, 1.5)
)
train_dataloader = dict(
    batch_size=128,
    dataset=dict(
        type='eqssl.MultiViewDataset',
        source=dict(type='eqssl.ArrayImages', split='train'),
        views=dict(
            type='eqssl.MultiCrop', views=[dict(group='global', size=32, num=2, scale=(0.4, 1.0), **_photo)]
        ),
    ),
)
train_cfg = dict(max_iters=540)
optim_wrapper = dict(optimizer=dict(lr=4e-3), precision='bf16')
default_hooks = dict(checkpoint=dict(interval=200, by_epoch=False), logger=dict(interval=25))
