# What the CIFAR recipes of all base methods share.
_base_ = [
    'models/resnet18_cifar.py',
    'views/cifar_32.py',
    'schedules/cifar_200e.py',
    'evaluation/cifar10.py',
    'runtime/default.py',
]
train_dataloader = dict(batch_size=512, num_workers=8)
evaluation = dict(limits=dict(train=50000, test=10000))
default_hooks = dict(checkpoint=dict(interval=20), evaluation=dict(type='eqssl.EvaluationHook', interval=20))
