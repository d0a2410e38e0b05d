# reproduces: DINOv2, ViT-L/16, ImageNet-1k (Oquab et al. 2024, vitl16_short), batch 2048, 100 "official" epochs of 1250
#             iterations; gradients are clipped as a whole here, backbone and head each for itself there
# cost:       1.54e+03 GFLOP per image (tools/analysis/profile_step.py)
# command:    tools/dist_train.sh configs/eqssl/dinov2_vitl.py 32
# expected:   kNN 81.6, linear 82.9 (official README)
# measured:   not run to the end by us
_base_ = [
    '../_base_/views/dinov2_224.py',
    '../_base_/runtime/imagenet.py',
]
model = dict(
    type='eqssl.SSLPretrainer',
    backbone=dict(
        type='eqssl.VisionTransformer', arch='large', drop_path_rate=0.3, layer_scale_init_value=1e-5
    ),
    head=dict(
        type='eqssl.DINOv2Head',
        out_dim=65536,
        koleo_weight=0.1,
        teacher_temp=0.07,
        warmup_teacher_temp=0.04,
        warmup_teacher_temp_epochs=60,  # 37 500 iterations; an epoch of ImageNet-1k has 625
        freeze_last_layer_epochs=2,  # 1250 iterations
        momentum=0.992,
    ),
)
train_dataloader = dict(batch_size=64)
optim_wrapper = dict(
    type='eqssl.OptimWrapper',
    constructor='eqssl.OptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=5.657e-3, weight_decay=0.04),  # 4e-3 sqrt(2048 / 1024)
    paramwise_cfg=dict(layer_decay=0.9, patch_embed_lr=0.2),
    clip_grad=dict(max_norm=3.0, per_parameter=False),
    precision='bf16',
)
param_scheduler = [
    dict(type='eqssl.CosineSchedule', param_name='lr', warmup=12500, final=1e-6, by_epoch=False),
    dict(type='eqssl.CosineSchedule', param_name='weight_decay', final=0.4, by_epoch=False),
]
train_cfg = dict(type='eqssl.PretrainLoop', max_iters=125000)
