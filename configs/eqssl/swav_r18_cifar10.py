# reproduces: SwAV, ResNet-18, CIFAR-10, 200 epochs (EffSSL, arXiv 2210.09866, base rows); its lr is not published, taken from SimCLR
# cost:       6.67 GFLOP per image (tools/analysis/profile_step.py)
# command:    python tools/train.py configs/eqssl/swav_r18_cifar10.py
# expected:   kNN 80.65, linear 83.60 (EffSSL, its table of base methods)
# measured:   not run to the end by us
_base_ = ['../_base_/cifar10_r18.py']
model = dict(head=dict(type='eqssl.SwAVHead', prototypes=100, epsilon=0.03))
optim_wrapper = dict(optimizer=dict(lr=0.5))
