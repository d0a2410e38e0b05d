# reproduces: nothing published; Mask R-CNN on the embedded nuclei (real microscopy, 128 px tiles) from a checkpoint of the demo
# cost:       200 iterations of 4 tiles of 128 px, about 2 minutes on two cores
# command:    python tools/train.py configs/downstream/mmdet/mask_rcnn_demo_nuclei.py --cfg-options checkpoint=work_dirs/demo_ibot_cifar10_seed0/iter_300.pth
# expected:   a falling loss and a mask AP above that from random weights (42.4)
# measured:   mask AP 44.5 +- 1.2, box AP 50.7 +- 1.5 (docs/en/user_guides/downstream.md)
_base_ = ['mmdet::_base_/models/mask-rcnn_r50_fpn.py', '../_base_/mmdet_runtime.py']
data_root = 'nuclei'
_norm = dict(type='eqssl.ChannelNorm')
_roi = dict(out_channels=64, featmap_strides=[2, 4, 8, 16], finest_scale=28)
model = dict(
    data_preprocessor=dict(mean=[32.0] * 3, std=[24.0] * 3),
    backbone=dict(
        _delete_=True,
        type='eqssl.DenseViT',
        arch=dict(embed_dims=128, num_layers=4, num_heads=4, feedforward_channels=512),
        img_size=32,
        patch_size=8,
        init_cfg=dict(type='eqssl.PretrainedBackbone', checkpoint=None, branch='teacher'),
    ),
    neck=dict(_delete_=True, type='eqssl.SimpleFeaturePyramid', in_channels=128, out_channels=64),
    rpn_head=dict(in_channels=64, feat_channels=64, anchor_generator=dict(strides=[2, 4, 8, 16, 32])),
    roi_head=dict(
        bbox_roi_extractor=_roi,
        bbox_head=dict(in_channels=64, fc_out_channels=256, num_classes=1),
        mask_roi_extractor=_roi,
        mask_head=dict(num_convs=2, in_channels=64, conv_out_channels=64, num_classes=1, norm_cfg=_norm),
    ),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=128)),
        rpn_proposal=dict(nms_pre=500, max_per_img=200),
        rcnn=dict(sampler=dict(num=64)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=200)),
)
_dataset = dict(
    type='CocoDataset', data_root=data_root, metainfo=dict(classes=('nucleus',), palette=[(255, 160, 0)])
)
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        **_dataset,
        ann_file='train.json',
        data_prefix=dict(img='images/train'),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
            dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
            dict(type='PackDetInputs'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **_dataset,
        ann_file='val.json',
        data_prefix=dict(img='images/val'),
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(128, 128), keep_ratio=True),  # changes nothing, but the mask head asks for its factor
            dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
            dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
        ],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='CocoMetric', ann_file='nuclei/val.json', metric=['bbox', 'segm'])
test_evaluator = val_evaluator
train_cfg = dict(type='IterBasedTrainLoop', max_iters=200, val_interval=200)
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='eqssl.OptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    paramwise_cfg=dict(layer_decay=0.9, decay_tokens=False),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=20),
    dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=False, begin=20, end=200),
]
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=200),
    logger=dict(interval=10, log_metric_by_epoch=False),
    visualization=dict(interval=1),
)
log_processor = dict(by_epoch=False)
