# What the ImageNet recipes share: kNN, R2 of four transformations and collapse monitors every 10 epochs, on a fixed sample of the
# training folder (every fifth image is a test image), which needs no other folder; without class folders kNN is left out.
# The number of a paper is measured on the validation images: tools/evaluate.py CONFIG CHECKPOINT --cfg-options
# evaluation.train.part=all evaluation.test.part=all evaluation.test.data_root=data/imagenet/val evaluation.limits=None
_base_ = ['default.py']
evaluation = dict(
    train=dict(type='eqssl.ImageFolder', with_label='auto', part='train'),
    test=dict(type='eqssl.ImageFolder', with_label='auto', part='test'),
    size=224,
    cells=1,
    limits=dict(train=10000, test=5000),
    tasks=dict(
        knn=dict(type='eqssl.KNN', part='cls', optional=True),
        equivariance=dict(
            type='eqssl.Equivariance',
            paths=dict(
                rotation=dict(type='eqssl.Rotation', padding='reflect'),
                translation=dict(type='eqssl.Translation', padding='reflect'),
                color=dict(type='eqssl.Color'),
                blur=dict(type='eqssl.Blur'),
            ),
            probes=('ridge',),
            parts=('all',),
            train=4000,
            test=2000,
        ),
        collapse=dict(type='eqssl.Collapse', part='cls'),
    ),
)
default_hooks = dict(evaluation=dict(type='eqssl.EvaluationHook', interval=10, by_epoch=True))
