# reproduces: nothing published; ibot_recon_cifar10.py for more iterations
# cost:       1000 iterations of 128 images; 45 minutes on one shared core
# command:    python tools/train.py configs/demo/ibot_recon_cifar10_long.py
# expected:   kNN above raw pixels (0.316) and random initialization (0.326), R2 above random (rotation 0.761, mean 0.632)
# measured:   kNN top-1 0.341, R2 rotation 0.769, R2 mean 0.728, color 0.778 (one seed, CPU): no better than 300 iterations
_base_ = ['ibot_recon_cifar10.py']
train_cfg = dict(max_iters=1000)
default_hooks = dict(checkpoint=dict(interval=500), logger=dict(interval=50))
