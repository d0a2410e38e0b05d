# reproduces: nothing published; SimSiam (Chen & He 2021) for minutes on a CPU, beside all other base methods
# cost:       0.42 GFLOP per image; 300 iterations of 128 images
# command:    python tools/train.py configs/bases/simsiam_cifar10.py
# expected:   EXPECTED
# measured:   MEASURED
_base_ = ['../_base_/bases_resnet.py']
model = dict(head=dict(type='eqssl.SimSiamHead', hidden=512, out_dim=512, layers=2, predictor_hidden=128))
optim_wrapper = dict(optimizer=dict(lr=3e-3))
