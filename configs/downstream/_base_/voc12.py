# VOC 2012 segmentation: data_root/VOCdevkit/VOC2012 as the official archive unpacks; the official train and val lists.
_base_ = ['ade20k.py']
data_root = 'data/VOCdevkit/VOC2012'
_crop = (512, 512)
_voc = dict(
    _delete_=True,
    type='mmseg.PascalVOCDataset',
    data_root=data_root,
    data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
)
train_dataloader = dict(
    dataset=dict(
        **_voc,
        ann_file='ImageSets/Segmentation/train.txt',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='mmseg.LoadAnnotations'),
            dict(type='RandomResize', scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
            dict(type='mmseg.RandomCrop', crop_size=_crop, cat_max_ratio=0.75),
            dict(type='RandomFlip', prob=0.5),
            dict(type='mmseg.PhotoMetricDistortion'),
            dict(type='mmseg.PackSegInputs'),
        ],
    )
)
val_dataloader = dict(
    dataset=dict(
        **_voc,
        ann_file='ImageSets/Segmentation/val.txt',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(2048, 512), keep_ratio=True),
            dict(type='mmseg.LoadAnnotations'),
            dict(type='mmseg.PackSegInputs'),
        ],
    )
)
test_dataloader = val_dataloader
