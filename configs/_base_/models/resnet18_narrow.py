# ResNet-18 with the CIFAR stem and a quarter of the usual channels (128 features): trains in minutes on a CPU.
model = dict(
    type='eqssl.SSLPretrainer',
    backbone=dict(type='mmpretrain.ResNet_CIFAR', depth=18, stem_channels=16, base_channels=16),
    data_preprocessor=dict(
        type='eqssl.ViewAugmenter', mean=(0.4914, 0.4822, 0.4465), std=(0.247, 0.2435, 0.2616)
    ),
)
