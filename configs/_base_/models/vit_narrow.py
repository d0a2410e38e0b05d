# A ViT of 96 features and 4 blocks with patches of 4 of 32 px (64 tokens): trains in minutes on a CPU.
model = dict(
    type='eqssl.SSLPretrainer',
    backbone=dict(
        type='eqssl.VisionTransformer',
        arch=dict(embed_dims=96, num_layers=4, num_heads=3, feedforward_channels=384),
        img_size=32,
        patch_size=4,
    ),
    data_preprocessor=dict(
        type='eqssl.ViewAugmenter', mean=(0.4914, 0.4822, 0.4465), std=(0.247, 0.2435, 0.2616)
    ),
)
