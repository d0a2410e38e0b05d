# kNN, collapse monitors and R2 of rotation on CIFAR-10: 10 000 training images vote for 5000 test images.
evaluation = dict(
    train=dict(type='eqssl.ArrayImages', split='train'),
    test=dict(type='eqssl.ArrayImages', split='test'),
    size=32,
    limits=dict(train=10000, test=5000),
    tasks=dict(
        knn=dict(type='eqssl.KNN', part='cls'),
        equivariance=dict(
            type='eqssl.Equivariance',
            paths=dict(rotation=dict(type='eqssl.Rotation', padding='reflect')),
            probes=('ridge',),
            parts=('cls',),
            train=4000,
            test=2000,
        ),
        collapse=dict(type='eqssl.Collapse', part='cls'),
    ),
)
