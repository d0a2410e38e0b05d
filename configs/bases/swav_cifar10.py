# reproduces: nothing published; SwAV (Caron et al. 2020) for minutes on a CPU, beside all other base methods
# cost:       0.42 GFLOP per image; 300 iterations of 128 images
# command:    python tools/train.py configs/bases/swav_cifar10.py
# expected:   EXPECTED
# measured:   MEASURED
_base_ = ['../_base_/bases_resnet.py']
model = dict(head=dict(type='eqssl.SwAVHead', hidden=512, prototypes=100, freeze_prototypes_iters=30))
