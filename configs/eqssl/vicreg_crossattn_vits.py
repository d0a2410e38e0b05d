# reproduces: Cross-Atten-Recon, ViT-S/16, ImageNet-1k (arXiv 2412.03314; only the abstract is public, schedule of the later paper)
# cost:       60.2 GFLOP per image (tools/analysis/profile_step.py)
# command:    tools/dist_train.sh configs/eqssl/vicreg_crossattn_vits.py 16
# expected:   R2 rotation .893, color .921, blur .823, translation .875 (Table T1 of arXiv 2503.18753)
# measured:   not run to the end by us
_base_ = [
    '../_base_/views/byol_224.py',
    '../_base_/runtime/default.py',
]
model = dict(
    type='eqssl.SSLPretrainer',
    backbone=dict(type='eqssl.VisionTransformer', arch='deit-small'),
    neck=dict(
        type='eqssl.SplitNeck', in_channels=384, out_channels=512, equi_dims=256, split_at='linear', invariant='linear'
    ),
    head=dict(
        type='eqssl.VICRegHead', hidden=2048, out_dim=2048, sim_weight=10.0, std_weight=10.0, cov_weight=1.0
    ),
    auxiliary=dict(
        cross=dict(
            type='eqssl.CrossAttnRecon', weight=1.0, target='v2', learnable=True, decoder=dict(type='eqssl.ReconDecoder')
        )
    ),
)
sync_bn = 'torch'
train_dataloader = dict(batch_size=128)
optim_wrapper = dict(
    type='eqssl.OptimWrapper',
    constructor='eqssl.OptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=8e-4, weight_decay=0.05),
    precision='bf16',
)
param_scheduler = [dict(type='eqssl.CosineSchedule', param_name='lr', warmup=10)]
train_cfg = dict(type='eqssl.PretrainLoop', max_epochs=800)
auto_scale_lr = dict(base_batch_size=2048, enable=False)
