# reproduces: SIE(rot), ViT-S/16, ImageNet-1k (Garrido et al. 2023, in the setting of arXiv 2503.18753)
# cost:       83 GFLOP per image (tools/analysis/profile_step.py)
# command:    tools/dist_train.sh configs/eqssl/vicreg_sie_vits.py 16
# expected:   R2 rotation .990, color .867, blur .042, translation .540 (Table T1 of arXiv 2503.18753)
# measured:   not run to the end by us
_base_ = [
    '../_base_/models/vicreg_split_vits.py',
    '../_base_/views/byol_224.py',
    '../_base_/schedules/vicreg_vits.py',
    '../_base_/runtime/imagenet.py',
]
model = dict(
    auxiliary=dict(
        sie=dict(
            type='eqssl.SIETask', weight=1.0, path=dict(type='eqssl.Rotation', degrees=45.0), hidden=1024, out_dim=256
        )
    ),
)
train_dataloader = dict(batch_size=128)
