# ViT-Ti with patches of 4 of 32 px (64 tokens).
model = dict(
    type='eqssl.SSLPretrainer',
    backbone=dict(
        type='eqssl.VisionTransformer', arch='deit-tiny', img_size=32, patch_size=4, drop_path_rate=0.1
    ),
    data_preprocessor=dict(
        type='eqssl.ViewAugmenter', mean=(0.4914, 0.4822, 0.4465), std=(0.247, 0.2435, 0.2616)
    ),
)
