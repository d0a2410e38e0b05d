# reproduces: SimCLR + rotation, ResNet-18, CIFAR-10, 200 epochs (EffSSL, arXiv 2210.09866); lambda as its eq. 1, a mean over views
# cost:       13.3 GFLOP per image (tools/analysis/profile_step.py)
# command:    python tools/train.py configs/eqssl/simclr_rotation_r18_cifar10.py
# expected:   kNN 88.69, linear 90.91 (SimCLR alone: 86.37, 88.77) (EffSSL)
# measured:   not run to the end by us
_base_ = ['simclr_r18_cifar10.py']
model = dict(
    auxiliary=dict(
        rotation=dict(
            type='eqssl.RotationTask',
            weight=1.0,
            angles=4,
            scale=1.0,
            features='projector',
            head=dict(type='eqssl.RotationHead', hidden=512),
        )
    )
)
