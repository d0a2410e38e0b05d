# reproduces: nothing published; SimCLR (Chen et al. 2020), for minutes on a CPU
# cost:       0.42 GFLOP per image; 300 iterations of 128 images
# command:    python tools/train.py configs/bases/simclr_cifar10.py
# expected:   kNN above raw pixels (0.327) and the untrained network (0.265 +- 0.018)
# measured:   kNN top-1 0.406 +- 0.003 (three seeds, CPU; docs/en/user_guides/bases.md)
_base_ = ['../_base_/bases_resnet.py']
model = dict(head=dict(type='eqssl.SimCLRHead', temperature=0.2))
