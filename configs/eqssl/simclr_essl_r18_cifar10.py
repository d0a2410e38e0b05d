# reproduces: E-SSL on SimCLR, ResNet-18, CIFAR-10 (Dangovski et al. 2022): a third crop of 16 px in four rotations, lambda 0.4;
#             the length is that of the base recipe (200 epochs)
# cost:       10.1 GFLOP per image (tools/analysis/profile_step.py)
# command:    python tools/train.py configs/eqssl/simclr_essl_r18_cifar10.py
# expected:   more than simclr_r18_cifar10.py; the paper trains 800 epochs
# measured:   not run to the end by us
_base_ = ['simclr_r18_cifar10.py']
_photo = dict(jitter=(0.4, 0.4, 0.4, 0.1), jitter_prob=0.8, gray_prob=0.2, blur_prob=0.0)
train_dataloader = dict(
    dataset=dict(
        views=dict(
            views=[
                dict(group='global', size=32, num=2, scale=(0.2, 1.0), **_photo),
                dict(group='rotation', size=16, scale=(0.2, 1.0), **_photo),
            ]
        )
    )
)
model = dict(
    auxiliary=dict(
        rotation=dict(
            type='eqssl.RotationTask',
            weight=0.4,
            group='rotation',
            scale=1.0,
            features='backbone',
            head=dict(type='eqssl.RotationHead', hidden=2048, layers=3, norm='ln'),
        )
    )
)
