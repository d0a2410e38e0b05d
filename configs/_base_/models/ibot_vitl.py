# iBOT with ViT-L/16. The official arguments are not public; these are the ViT-B ones.
model = dict(
    type='eqssl.SSLPretrainer',
    backbone=dict(type='eqssl.VisionTransformer', arch='large', img_size=224, patch_size=16, drop_path_rate=0.1),
    head=dict(
        type='eqssl.IBOTHead',
        in_channels=1024,
        out_dim=8192,
        shared=True,
        norm_last_layer=True,
        warmup_teacher_temp=0.04,
        teacher_temp=0.07,
        warmup_teacher_temp_epochs=50,
        momentum=0.996,
        freeze_last_layer_epochs=3,
    ),
)
