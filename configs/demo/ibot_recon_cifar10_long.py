_base_ = ['ibot_recon_cifar10.py']
train_cfg = dict(max_iters=1000)
default_hooks = dict(checkpoint=dict(interval=500), logger=dict(interval=50))
