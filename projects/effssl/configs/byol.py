_base_ = ['../../../configs/bases/byol_cifar10.py']
evaluation = dict(
    tasks=dict(
        equivariance=dict(
            type='eqssl.Equivariance',
            paths=dict(rotation=dict(type='eqssl.Rotation', padding='reflect')),
            probes=('ridge',),
            parts=('cls',),
            train=4000,
            test=2000,
        )
    )
)
default_hooks = dict(evaluation=dict(type='eqssl.EvaluationHook', interval=150, by_epoch=False))
