# iBOT with ViT-S/16: shared head of 8192 prototypes, last layer's norm learned (official ViT-S command).
model = dict(
    type='eqssl.SSLPretrainer',
    backbone=dict(type='eqssl.VisionTransformer', arch='deit-small', img_size=224, patch_size=16, drop_path_rate=0.1),
    head=dict(
        type='eqssl.IBOTHead',
        in_channels=384,
        out_dim=8192,
        shared=True,
        norm_last_layer=False,
        warmup_teacher_temp=0.04,
        teacher_temp=0.07,
        warmup_teacher_temp_epochs=30,
        momentum=0.996,
        freeze_last_layer_epochs=1,
    ),
)
