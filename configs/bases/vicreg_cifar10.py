# reproduces: nothing published; VICReg (Bardes et al. 2022), for minutes on a CPU
# cost:       0.43 GFLOP per image; 300 iterations of 128 images
# command:    python tools/train.py configs/bases/vicreg_cifar10.py
# expected:   kNN above raw pixels (0.327) and the untrained network (0.265 +- 0.018)
# measured:   kNN top-1 0.355 +- 0.005 (three seeds, CPU; docs/en/user_guides/bases.md)
_base_ = ['../_base_/bases_resnet.py']
model = dict(head=dict(type='eqssl.VICRegHead', hidden=512, out_dim=512))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
