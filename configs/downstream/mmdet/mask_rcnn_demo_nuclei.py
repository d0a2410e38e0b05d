# reproduces: nothing published; Mask R-CNN on the embedded nuclei (real microscopy, 128 px tiles) from a checkpoint of the demo
# cost:       to be measured
# command:    python tools/train.py configs/downstream/mmdet/mask_rcnn_demo_nuclei.py --cfg-options checkpoint=work_dirs/demo_cifar10_seed0/iter_300.pth
# expected:   a falling loss and a mask AP50 far above zero
# measured:   see docs/en/user_guides/downstream.md
_base_ = ['mmdet::_base_/models/mask-rcnn_r50_fpn.py', '../_base_/demo_detector.py']
data_root = 'nuclei'
model = dict(
    data_preprocessor=dict(mean=[32.0] * 3, std=[24.0] * 3),
    roi_head=dict(
        bbox_roi_extractor=_base_.demo_roi,
        bbox_head=dict(in_channels=64, fc_out_channels=256, num_classes=1),
        mask_roi_extractor=_base_.demo_roi,
        mask_head=dict(
            num_convs=2, in_channels=64, conv_out_channels=64, num_classes=1, norm_cfg=dict(type='eqssl.ChannelNorm')
        ),
    ),
    **_base_.demo_detector,
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
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=20),
    dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=False, begin=20, end=200),
]
