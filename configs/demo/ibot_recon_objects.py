_base_ = ['ibot_objects.py']
model = dict(
    neck=dict(type='eqssl.SplitNeck', in_channels=128, out_channels=1280, equi_dims=256),
    auxiliary=dict(
        recon=dict(
            type='eqssl.IntermediateRecon',
            weight=5.0,
            num_images=2,
            path=dict(type='eqssl.SE2', degrees=45.0, pixels=4.0, reference=32, padding='reflect'),
            decoder=dict(type='eqssl.ReconDecoder', width=64, channels=(32, 16, 16)),
        )
    ),
)
