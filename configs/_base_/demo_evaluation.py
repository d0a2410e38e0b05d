# kNN, R2 of four transformations by a small MLP, collapse monitors; `progress` is what the demo measures during training.
_base_ = ['runtime/default.py']
_paths = dict(
    rotation=dict(type='eqssl.Rotation', padding='reflect'),
    translation=dict(type='eqssl.Translation', pixels=4.0, reference=32, padding='reflect'),
    color=dict(type='eqssl.Color'),
    blur=dict(type='eqssl.Blur', sigma=(0.1, 1.5)),
)
evaluation = dict(
    train=dict(type='eqssl.ArrayImages', split='train'),
    test=dict(type='eqssl.ArrayImages', split='test'),
    size=32,
    limits=dict(train=6000, test=2000),
    tasks=dict(
        knn=dict(type='eqssl.KNN', part='cls'),
        equivariance=dict(
            type='eqssl.Equivariance',
            paths=_paths,
            probes=('mlp',),
            parts=('all',),
            hidden=256,
            epochs=20,
            train=4000,
            test=2000,
        ),
        collapse=dict(type='eqssl.Collapse', part='cls'),
        progress=dict(
            type='eqssl.Equivariance', paths=_paths, probes=('ridge',), parts=('all',), train=1000, test=500
        ),
    ),
)
