# reproduces: BYOL + rotation, ResNet-18, CIFAR-10, 200 epochs (EffSSL, arXiv 2210.09866); lambda as its eq. 1, a mean over views
# cost:       15.7 GFLOP per image (tools/analysis/profile_step.py)
# command:    python tools/train.py configs/eqssl/byol_rotation_r18_cifar10.py
# expected:   kNN 89.80, linear 91.89 (BYOL alone: 86.56, 89.30) (EffSSL)
# measured:   not run to the end by us
_base_ = ['byol_r18_cifar10.py']
model = dict(
    auxiliary=dict(
        rotation=dict(
            type='eqssl.RotationTask',
            weight=5.0,
            angles=4,
            scale=1.0,
            features='projector',
            head=dict(type='eqssl.RotationHead', hidden=512),
        )
    )
)
