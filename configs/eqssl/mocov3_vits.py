# reproduces: MoCo v3, ViT-S/16, ImageNet-1k, 300 epochs (Chen et al. 2021, official CONFIG.md), batch 4096; the position
#             embedding is learned here, fixed sine-cosine there
# cost:       73.5 GFLOP per image (tools/analysis/profile_step.py)
# command:    tools/dist_train.sh configs/eqssl/mocov3_vits.py 32
# expected:   linear top-1 73.2 (official README)
# measured:   not run to the end by us
_base_ = [
    '../_base_/views/byol_224.py',
    '../_base_/runtime/imagenet.py',
]
model = dict(
    type='eqssl.SSLPretrainer',
    backbone=dict(
        type='eqssl.VisionTransformer',
        arch=dict(embed_dims=384, num_layers=12, num_heads=12, feedforward_channels=1536),  # MoCo v3's ViT-S
        freeze_patch_embed=True,
    ),
    head=dict(type='eqssl.MoCoV3Head', layers=3, predictor_norm=True, temperature=0.2, momentum=0.99),
)
sync_bn = 'torch'
train_dataloader = dict(batch_size=128)
optim_wrapper = dict(
    type='eqssl.OptimWrapper',
    constructor='eqssl.OptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=2.4e-3, weight_decay=0.1),
    paramwise_cfg=dict(decay_norm_bias=True),
    precision='bf16',
)
param_scheduler = [dict(type='eqssl.CosineSchedule', param_name='lr', warmup=40)]
train_cfg = dict(type='eqssl.PretrainLoop', max_epochs=300)
auto_scale_lr = dict(base_batch_size=4096, enable=False)
