# reproduces: SimSiam, ResNet-18, CIFAR-10, 200 epochs (EffSSL, arXiv 2210.09866, base rows)
# cost:       6.75 GFLOP per image (tools/analysis/profile_step.py)
# command:    python tools/train.py configs/eqssl/simsiam_r18_cifar10.py
# expected:   kNN 87.05, linear 89.77 (EffSSL, its table of base methods)
# measured:   not run to the end by us
_base_ = ['../_base_/cifar10_r18.py']
model = dict(head=dict(type='eqssl.SimSiamHead', hidden=2048, out_dim=2048, layers=2, predictor_hidden=512))
optim_wrapper = dict(
    optimizer=dict(lr=0.07),
    paramwise_cfg=dict(decay_norm_bias=True, constant_lr=['head.predictor']),
)
