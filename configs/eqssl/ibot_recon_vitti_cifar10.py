# reproduces: nothing published; iBOT + intermediate reconstruction (arXiv 2503.18753) with a ViT-Ti/4 on CIFAR-10
# cost:       6.41 GFLOP per image (tools/analysis/profile_step.py); for one GPU
# command:    python tools/train.py configs/eqssl/ibot_recon_vitti_cifar10.py
# expected:   more R2 than ibot_vitti_cifar10.py and no less kNN
# measured:   not run to the end by us
_base_ = ['ibot_vitti_cifar10.py']
model = dict(
    neck=dict(type='eqssl.SplitNeck', out_channels=1280, equi_dims=256),
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
