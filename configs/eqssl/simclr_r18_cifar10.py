# reproduces: SimCLR, ResNet-18, CIFAR-10, 200 epochs (EffSSL, arXiv 2210.09866, base rows)
# cost:       6.66 GFLOP per image (tools/analysis/profile_step.py)
# command:    python tools/train.py configs/eqssl/simclr_r18_cifar10.py
# expected:   kNN 86.37, linear 88.77 (EffSSL, its table of base methods)
# measured:   not run to the end by us
_base_ = ['../_base_/cifar10_r18.py']
model = dict(head=dict(type='eqssl.SimCLRHead', temperature=0.2))
optim_wrapper = dict(optimizer=dict(lr=0.5))
