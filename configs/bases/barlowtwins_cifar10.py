# reproduces: nothing published; Barlow Twins (Zbontar et al. 2021), for minutes on a CPU
# cost:       0.43 GFLOP per image; 300 iterations of 128 images
# command:    python tools/train.py configs/bases/barlowtwins_cifar10.py
# expected:   kNN above raw pixels (0.327) and the untrained network (0.265 +- 0.018)
# measured:   kNN top-1 0.349 +- 0.007 (three seeds, CPU; docs/en/user_guides/bases.md)
_base_ = ['../_base_/bases_resnet.py']
model = dict(head=dict(type='eqssl.BarlowTwinsHead', hidden=512, out_dim=512))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
