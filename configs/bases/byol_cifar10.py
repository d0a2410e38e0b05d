# reproduces: nothing published; BYOL (Grill et al. 2020), for minutes on a CPU
# cost:       0.56 GFLOP per image; 300 iterations of 128 images
# command:    python tools/train.py configs/bases/byol_cifar10.py
# expected:   kNN above raw pixels (0.327) and the untrained network (0.265 +- 0.018)
# measured:   kNN top-1 0.349 +- 0.004 (three seeds, CPU; docs/en/user_guides/bases.md)
_base_ = ['../_base_/bases_resnet.py']
model = dict(head=dict(type='eqssl.BYOLHead', hidden=512, out_dim=128, momentum=0.9))
optim_wrapper = dict(optimizer=dict(lr=4e-3))
