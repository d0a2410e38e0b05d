# reproduces: nothing published; the base of ibot_recon_cifar10.py: iBOT on CIFAR-10 with a small ViT
# cost:       0.27 GFLOP per image; 300 iterations of 128 images, about 4 minutes on two cores
# command:    python tools/train.py configs/demo/ibot_cifar10.py
# expected:   less R2 than ibot_recon_cifar10.py
# measured:   kNN top-1 0.339 +- 0.002, R2 rotation 0.771 +- 0.017, R2 mean 0.692 +- 0.012 (three seeds, CPU)
_base_ = [
    '../_base_/models/demo_vit.py',
    '../_base_/views/demo_32.py',
    '../_base_/schedules/demo.py',
    '../_base_/runtime/default.py',
]
data_root = 'cifar10'
train_dataloader = dict(dataset=dict(source=dict(type='eqssl.ArrayImages', split='train')))
default_hooks = dict(checkpoint=dict(interval=100, by_epoch=False), logger=dict(interval=25))
evaluation = dict(
    train=dict(type='eqssl.ArrayImages', split='train'),
    test=dict(type='eqssl.ArrayImages', split='test'),
    size=32,
    limits=dict(train=8000, test=2000),
    tasks=dict(
        knn=dict(type='eqssl.KNN', part='all'),
        equivariance=dict(
            type='eqssl.Equivariance',
            paths=dict(
                rotation=dict(type='eqssl.Rotation', padding='reflect'),
                translation=dict(type='eqssl.Translation', pixels=4.0, reference=32, padding='reflect'),
                color=dict(type='eqssl.Color'),
                blur=dict(type='eqssl.Blur', sigma=(0.1, 1.5)),
            ),
            probes=('mlp',),
            parts=('all',),
            hidden=256,
            epochs=20,
            train=4000,
            test=2000,
        ),
        collapse=dict(type='eqssl.Collapse', part='all'),
    ),
)
