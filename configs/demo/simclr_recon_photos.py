# reproduces: nothing published; the main job (arXiv 2503.18753) on a convolutional base, in minutes on a CPU
# cost:       0.47 GFLOP per image, +13 %; 540 iterations of 128 images, 3 to 5 minutes on two cores
# command:    make demo
# expected:   more R2 than SimCLR alone, most of all of color, and no less kNN
# measured:   kNN 0.889 +- 0.008, R2 mean 0.730 +- 0.001, color 0.794 +- 0.012 (SimCLR alone: 0.594) (three seeds, CPU)
_base_ = ['simclr_photos.py']
model = dict(
    neck=dict(type='eqssl.SplitNeck', out_channels=384, equi_dims=128, invariant='linear'),
    auxiliary=dict(
        recon=dict(
            type='eqssl.IntermediateRecon',
            weight=20.0,
            num_images=2,
            path=dict(type='eqssl.SE2', degrees=45.0, pixels=4.0, reference=32, padding='reflect'),
            decoder=dict(type='eqssl.TokenDecoder', grid=4, image_size=32, width=128, depth=1, heads=4, overlap=True),
        )
    ),
)
