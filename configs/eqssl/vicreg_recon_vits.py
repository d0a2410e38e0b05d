# reproduces: Ours(VICReg, all, SE(2)), ViT-S/16, ImageNet-1k, 800 epochs, batch 2048 (arXiv 2503.18753, sections 4.1; the weight
#             decay is not published)
# cost:       64.5 GFLOP per image (tools/analysis/profile_step.py)
# command:    tools/dist_train.sh configs/eqssl/vicreg_recon_vits.py 16
# expected:   R2 rotation .998, color .916, blur .952, translation .974 (Table T1)
# measured:   not run to the end by us
_base_ = [
    '../_base_/models/vicreg_split_vits.py',
    '../_base_/views/byol_224.py',
    '../_base_/schedules/vicreg_vits.py',
    '../_base_/runtime/imagenet.py',
]
model = dict(
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
train_dataloader = dict(batch_size=128)
