# reproduces: BYOL, ResNet-18, CIFAR-10, 200 epochs (EffSSL, arXiv 2210.09866, base rows)
# cost:       8.96 GFLOP per image (tools/analysis/profile_step.py)
# command:    python tools/train.py configs/eqssl/byol_r18_cifar10.py
# expected:   kNN 86.56, linear 89.30 (EffSSL, its table of base methods)
# measured:   not run to the end by us
_base_ = ['../_base_/cifar10_r18.py']
model = dict(head=dict(type='eqssl.BYOLHead', hidden=4096, out_dim=256, momentum=0.95))
optim_wrapper = dict(optimizer=dict(lr=0.8))
