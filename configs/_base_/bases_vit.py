# The same with a ViT, for methods with masked patches (docs/en/user_guides/bases.md).
_base_ = [
    'models/vit_narrow.py',
    'views/cifar_32.py',
    'schedules/minutes.py',
    'evaluation/cifar10.py',
    'runtime/default.py',
]
default_hooks = dict(checkpoint=dict(interval=150, by_epoch=False), logger=dict(interval=50))
train_dataloader = dict(
    dataset=dict(mask=dict(type='eqssl.PatchMask', ratio=(0.0, 0.3), variance=(0.0, 0.2)))
)
evaluation = dict(tasks=dict(knn=dict(part='all')))  # CLS alone is slow to learn; CLS and pooled patches
