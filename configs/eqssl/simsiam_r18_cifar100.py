# reproduces: SimSiam, ResNet-18, CIFAR-100, 200 epochs (EffSSL, arXiv 2210.09866, base rows)
# cost:       as simsiam_r18_cifar10.py
# command:    python tools/train.py configs/eqssl/simsiam_r18_cifar100.py
# expected:   kNN 56.90, linear 64.27 (EffSSL, its table of base methods)
# measured:   not run to the end by us
_base_ = ['simsiam_r18_cifar10.py']
data_root = 'cifar100'
model = dict(
    data_preprocessor=dict(mean=(0.5071, 0.4865, 0.4409), std=(0.2673, 0.2564, 0.2762)),
    head=dict(layers=3),
)
optim_wrapper = dict(optimizer=dict(lr=0.05))
