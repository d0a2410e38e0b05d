_base_ = ['ibot_vits.py']
model = dict(
    neck=dict(type='eqssl.SplitNeck', in_channels=384, out_channels=8192, equi_dims=2048, split_at='linear'),
    head=dict(out_dim=6144),
    auxiliary=dict(
        recon=dict(
            type='eqssl.IntermediateRecon',
            weight=1.0,
            num_images=2,
            path=dict(type='eqssl.SE2', degrees=45.0, pixels=10.0, padding='zeros'),
            decoder=dict(type='eqssl.ReconDecoder'),
        )
    ),
)
