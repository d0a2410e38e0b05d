# reproduces: Cross-Atten-Recon, ViT-S/16, ImageNet-1k (arXiv 2412.03314; only the abstract is public, schedule of the later paper)
# cost:       60.2 GFLOP per image (tools/analysis/profile_step.py)
# command:    tools/dist_train.sh configs/eqssl/vicreg_crossattn_vits.py 16
# expected:   R2 rotation .893, color .921, blur .823, translation .875 (Table T1 of arXiv 2503.18753)
# measured:   not run to the end by us
_base_ = [
    '../_base_/models/vicreg_split_vits.py',
    '../_base_/views/byol_224.py',
    '../_base_/schedules/vicreg_vits.py',
    '../_base_/runtime/imagenet.py',
]
model = dict(
    auxiliary=dict(
        cross=dict(
            type='eqssl.CrossAttnRecon', weight=1.0, target='v2', learnable=True, decoder=dict(type='eqssl.ReconDecoder')
        )
    ),
)
train_dataloader = dict(batch_size=128)
