# reproduces: nothing published; BYOL (Grill et al. 2020) for minutes on a CPU, beside all other base methods
# cost:       0.56 GFLOP per image; 300 iterations of 128 images
# command:    python tools/train.py configs/bases/byol_cifar10.py
# expected:   EXPECTED
# measured:   MEASURED
_base_ = ['../_base_/bases_resnet.py']
model = dict(head=dict(type='eqssl.BYOLHead', hidden=512, out_dim=128, momentum=0.9))
optim_wrapper = dict(optimizer=dict(lr=4e-3))
