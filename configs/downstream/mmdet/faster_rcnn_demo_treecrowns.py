# reproduces: nothing published; Faster R-CNN on aerial photographs with hand-drawn tree crowns (the package deepforest: 30 tiles of one site for
#             training, 8 of three other sites for validation) from a checkpoint of the demo
# cost:       to be measured
# command:    python tools/train.py configs/downstream/mmdet/faster_rcnn_demo_treecrowns.py --cfg-options checkpoint=work_dirs/demo_cifar10_seed0/iter_300.pth
# expected:   a falling loss and a box AP50 above that of random weights
# measured:   see docs/en/user_guides/downstream.md
_base_ = ['mmdet::_base_/models/faster-rcnn_r50_fpn.py', '../_base_/demo_detector.py']
data_root = 'treecrowns'
model = dict(
    roi_head=dict(
        bbox_roi_extractor=_base_.demo_roi, bbox_head=dict(in_channels=64, fc_out_channels=256, num_classes=1)
    ),
    **_base_.demo_detector,
)
_dataset = dict(type='CocoDataset', data_root=data_root, metainfo=dict(classes=('tree',), palette=[(255, 160, 0)]))
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        **_dataset,
        ann_file='train.json',
        data_prefix=dict(img='images/train'),
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='RandomCrop', crop_size=(192, 192)),
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
            dict(type='Resize', scale=(400, 400), keep_ratio=True),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
        ],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='CocoMetric', ann_file='treecrowns/val.json', metric='bbox')
test_evaluator = val_evaluator
train_cfg = dict(type='IterBasedTrainLoop', max_iters=400, val_interval=400)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=20),
    dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=False, begin=20, end=400),
]
