# reproduces: Ours(DINOv2, all, SE(2)), ViT-L/16, ImageNet-1k, batch 2048 (arXiv 2503.18753, section 4.1: d_patch 2048, d_equi 512)
# cost:       1.56e+03 GFLOP per image (tools/analysis/profile_step.py)
# command:    tools/dist_train.sh configs/eqssl/dinov2_recon_vitl.py 32
# expected:   R2 rotation .840, color .933 (DINOv2: .774, .910); linear top-1 82.7 (82.6) (Tables T4, T5)
# measured:   not run to the end by us
_base_ = ['dinov2_vitl.py']
model = dict(
    neck=dict(
        type='eqssl.SplitNeck', in_channels=1024, out_channels=2048, equi_dims=512, split_at='linear', invariant='linear'
    ),
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
