# reproduces: nothing published; the base of simclr_recon_cifar10.py: SimCLR on CIFAR-10 with a narrow ResNet-18
# cost:       0.42 GFLOP per image; 500 iterations of 128 images, about 3 minutes on two cores
# command:    python tools/train.py configs/demo/simclr_cifar10.py
# expected:   kNN above raw pixels by 10 points and more; less R2 of color than simclr_recon_cifar10.py
# measured:   (README)
_base_ = [
    '../_base_/models/resnet18_narrow.py',
    '../_base_/views/cifar_32.py',
    '../_base_/schedules/minutes.py',
    '../_base_/runtime/default.py',
]
model = dict(head=dict(type='eqssl.SimCLRHead', temperature=0.2))
train_cfg = dict(max_iters=500)
train_dataloader = dict(num_workers=0)
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
    limits=dict(train=8000, test=2000),
    tasks=dict(
        knn=dict(type='eqssl.KNN', part='cls'),
        equivariance=dict(
            type='eqssl.Equivariance', paths=_paths, probes=('mlp',), parts=('all',),
            hidden=256, epochs=20, train=4000, test=2000,
        ),
        progress=dict(
            type='eqssl.Equivariance', paths=_paths, probes=('ridge',), parts=('all',), train=1500, test=750
        ),
        collapse=dict(type='eqssl.Collapse', part='cls'),
    ),
)
default_hooks = dict(
    checkpoint=dict(interval=250, by_epoch=False),
    logger=dict(interval=25),
    evaluation=dict(type='eqssl.EvaluationHook', interval=100, by_epoch=False, tasks=['knn', 'progress']),
)
