# What the short CIFAR-10 runs of all base methods share (docs/en/user_guides/bases.md).
_base_ = [
    'models/resnet18_narrow.py',
    'views/cifar_32.py',
    'schedules/minutes.py',
    'evaluation/cifar10.py',
    'runtime/default.py',
]
default_hooks = dict(checkpoint=dict(interval=150, by_epoch=False), logger=dict(interval=50))
