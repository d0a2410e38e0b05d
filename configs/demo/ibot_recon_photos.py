# reproduces: nothing published; iBOT + intermediate reconstruction on windows of 100 photographs
# cost:       as ibot_photos.py, +10 %
# command:    make demo METHOD=ibot
# expected:   more R2 than iBOT alone and no less kNN
# measured:   kNN 0.827 +- 0.005, R2 mean 0.732 +- 0.011 (iBOT alone: 0.840, 0.712) (two seeds, CPU)
_base_ = ['ibot_photos.py']
model = dict(
    neck=dict(type='eqssl.SplitNeck', in_channels=128, out_channels=512, equi_dims=256),
    auxiliary=dict(
        recon=dict(
            type='eqssl.IntermediateRecon',
            weight=5.0,
            num_images=2,
            path=dict(type='eqssl.SE2', degrees=45.0, pixels=4.0, reference=32, padding='reflect'),
            decoder=dict(type='eqssl.ReconDecoder', width=64, channels=(32, 16, 16), groups=None),
        )
    ),
)
