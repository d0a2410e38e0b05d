# reproduces: nothing published; ibot_cifar10.py for more iterations
# cost:       1000 iterations of 128 images
# command:    python tools/train.py configs/demo/ibot_cifar10_long.py
# expected:   kNN above raw pixels and random initialization
# measured:   not run to the end by us
_base_ = ['ibot_cifar10.py']
train_cfg = dict(max_iters=1000)
default_hooks = dict(checkpoint=dict(interval=500), logger=dict(interval=50))
