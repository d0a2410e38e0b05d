# A small ViT for the demo: 128 wide, 4 blocks, patches of a quarter of the image (16 tokens).
model = dict(
    type='eqssl.SSLPretrainer',
    backbone=dict(
        type='eqssl.VisionTransformer',
        arch=dict(embed_dims=128, num_layers=4, num_heads=4, feedforward_channels=512),
        img_size=32,
        patch_size=8,
    ),
    head=dict(
        type='eqssl.IBOTHead',
        in_channels=128,
        hidden=512,
        bottleneck=128,
        out_dim=1024,
        norm_last_layer=True,
        warmup_teacher_temp=0.04,
        teacher_temp=0.05,
        warmup_teacher_temp_epochs=1,
        momentum=0.99,
        freeze_last_layer_epochs=0,
    ),
)
