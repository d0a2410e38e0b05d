_base_ = ['../../../configs/bases/byol_cifar10.py']
model = dict(
    auxiliary=dict(
        rotation=dict(
            type='eqssl.RotationTask',
            weight=5.0,
            scale=1.0,
            features='projector',
            head=dict(type='eqssl.RotationHead', hidden=512),
        )
    )
)
