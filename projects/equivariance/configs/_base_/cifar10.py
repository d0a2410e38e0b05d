# The demo's ViT (128 features, 4 blocks, patches of 8 px) on CIFAR-10; kNN and R2 of four paths; minutes per run on a CPU core.
_base_ = ['../../../../configs/_base_/bases_vit.py']
train_cfg = dict(max_iters=120)
model = dict(
    backbone=dict(
        arch=dict(embed_dims=128, num_layers=4, num_heads=4, feedforward_channels=512), patch_size=8
    )
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
evaluation = dict(
    limits=dict(train=5000, test=5000),
    tasks=dict(
        equivariance=dict(
            type='eqssl.Equivariance',
            paths=dict(
                rotation=dict(type='eqssl.Rotation', padding='reflect'),
                translation=dict(type='eqssl.Translation', pixels=4.0, reference=32, padding='reflect'),
                color=dict(type='eqssl.Color'),
                blur=dict(type='eqssl.Blur', sigma=(0.1, 1.5)),
            ),
            probes=('mlp',),
            parts=('all',),
            hidden=256,
            epochs=20,
            train=2000,
            test=1000,
        )
    ),
)

# What the tasks share and what each one is; a config takes them by {{_base_._name}}.
_split = dict(type='eqssl.SplitNeck', out_channels=384, equi_dims=128)
_split_linear = dict(**_split, invariant='linear')
_move = dict(type='eqssl.SE2', degrees=45.0, pixels=4.0, reference=32, padding='reflect')
_draw = dict(type='eqssl.ReconDecoder', width=64, channels=(32, 16, 16))
_recon = dict(type='eqssl.IntermediateRecon', weight=5.0, num_images=2, path=_move, decoder=_draw)
_crossattn = dict(type='eqssl.CrossAttnRecon', weight=5.0, target='v2', path=_move, decoder=_draw)
_sie = dict(type='eqssl.SIETask', path=_move, hidden=256, out_dim=128)
_sie_light = dict(**_sie, weight=0.1)  # the size of the other two base losses
