# reproduces: nothing published; SimCLR + intermediate reconstruction on CIFAR-10, the main job on a base without masks
# cost:       500 iterations of 128 images, about 4 minutes on two cores
# command:    make demo METHOD=simclr DATA=cifar10
# expected:   more R2 than SimCLR alone, above all of color, and about its kNN
# measured:   (README)
_base_ = ['simclr_cifar10.py']
model = dict(
    neck=dict(type='eqssl.SplitNeck', out_channels=256, equi_dims=128),  # the head sees what it sees without
    auxiliary=dict(
        recon=dict(
            type='eqssl.IntermediateRecon',
            weight=5.0,
            num_images=2,
            path=dict(type='eqssl.SE2', degrees=45.0, pixels=4.0, reference=32, padding='reflect'),
            decoder=dict(type='eqssl.ReconDecoder', grid=4, image_size=32, width=64, channels=(32, 16, 16)),
        )
    ),
)
