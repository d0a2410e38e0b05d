# ViTDet's Mask R-CNN (Li et al. 2022) on a plain ViT-S/16: windows of 14 patches, four global blocks, simple feature pyramid, two
# convolutions before the proposals, box head of four convolutions and a layer, layer norms everywhere. Relative positions are left out:
# pre-training has none.
_base_ = ['mmdet::_base_/models/mask-rcnn_r50_fpn.py']
_norm = dict(type='eqssl.ChannelNorm')
model = dict(
    backbone=dict(
        _delete_=True,
        type='eqssl.DenseViT',
        arch='deit-small',
        img_size=224,
        patch_size=16,
        window_size=14,
        final_norm=False,
        drop_path_rate=0.1,
        init_cfg=dict(type='eqssl.PretrainedBackbone', checkpoint=None, branch='teacher'),
    ),
    neck=dict(_delete_=True, type='eqssl.SimpleFeaturePyramid', in_channels=384, out_channels=256),
    rpn_head=dict(num_convs=2),
    roi_head=dict(
        bbox_head=dict(type='Shared4Conv1FCBBoxHead', conv_out_channels=256, norm_cfg=_norm),
        mask_head=dict(norm_cfg=_norm),
    ),
)
