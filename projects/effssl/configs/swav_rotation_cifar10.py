_base_ = ['../../../configs/bases/swav_cifar10.py']
model = dict(
    auxiliary=dict(
        rotation=dict(
            type='eqssl.RotationTask',
            weight=0.5,
            scale=1.0,
            features='projector',
            head=dict(type='eqssl.RotationHead', hidden=512),
        )
    )
)
