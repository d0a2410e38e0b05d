# A plain ViT-S/16 under FPN, as iBOT and BEiT detect: attention over the whole image in every block; maps of blocks 4, 6, 8 and 12,
# without a norm, resampled to strides 4, 8, 16 and 32. Detectors take it as `model = _base_.vit_fpn`.
vit_fpn = dict(
    backbone=dict(
        _delete_=True,
        type='eqssl.DenseViT',
        arch='deit-small',
        img_size=224,
        patch_size=16,
        out_indices=(3, 5, 7, 11),
        final_norm=False,
        drop_path_rate=0.1,
        init_cfg=dict(type='eqssl.PretrainedBackbone', checkpoint=None, branch='teacher'),
    ),
    neck=[
        dict(type='mmseg.Feature2Pyramid', embed_dim=384, rescales=[4, 2, 1, 0.5], norm_cfg=dict(type='SyncBN', requires_grad=True)),
        dict(type='FPN', in_channels=[384, 384, 384, 384], out_channels=256, num_outs=5),
    ],
)
