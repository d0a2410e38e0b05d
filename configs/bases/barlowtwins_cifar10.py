# reproduces: nothing published; Barlow Twins (Zbontar et al. 2021) for minutes on a CPU, beside all other base methods
# cost:       0.43 GFLOP per image; 300 iterations of 128 images
# command:    python tools/train.py configs/bases/barlowtwins_cifar10.py
# expected:   EXPECTED
# measured:   MEASURED
_base_ = ['../_base_/bases_resnet.py']
model = dict(head=dict(type='eqssl.BarlowTwinsHead', hidden=512, out_dim=512))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
