# ViT-S/16 with a linear layer to d_patch = 512, half of it invariant (VICReg with SIE's weights), half equivariant.
model = dict(
    type='eqssl.SSLPretrainer',
    backbone=dict(type='eqssl.VisionTransformer', arch='deit-small'),
    neck=dict(
        type='eqssl.SplitNeck', in_channels=384, out_channels=512, equi_dims=256, split_at='linear', invariant='linear'
    ),
    head=dict(
        type='eqssl.VICRegHead', hidden=2048, out_dim=2048, sim_weight=10.0, std_weight=10.0, cov_weight=1.0
    ),
)
sync_bn = 'torch'
