# reproduces: SimCLR, ResNet-18, CIFAR-100, 200 epochs (EffSSL, arXiv 2210.09866, base rows)
# cost:       as simclr_r18_cifar10.py
# command:    python tools/train.py configs/eqssl/simclr_r18_cifar100.py
# expected:   kNN 55.10, linear 62.96 (EffSSL, its table of base methods)
# measured:   not run to the end by us
_base_ = ['simclr_r18_cifar10.py']
data_root = 'cifar100'
model = dict(
    data_preprocessor=dict(mean=(0.5071, 0.4865, 0.4409), std=(0.2673, 0.2564, 0.2762))
)
