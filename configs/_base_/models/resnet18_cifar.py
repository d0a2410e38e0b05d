# ResNet-18 with the CIFAR stem (3x3, stride 1, no pooling).
model = dict(
    type='eqssl.SSLPretrainer',
    backbone=dict(type='mmpretrain.ResNet_CIFAR', depth=18),
    data_preprocessor=dict(
        type='eqssl.ViewAugmenter', mean=(0.4914, 0.4822, 0.4465), std=(0.247, 0.2435, 0.2616)
    ),
)
