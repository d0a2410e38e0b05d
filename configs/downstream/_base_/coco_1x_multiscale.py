# DETR's augmentation, which iBOT fine-tunes with: a short side of 480 to 800, half of the images cropped before.
_base_ = ['coco_1x.py']
_scales = [(side, 1333) for side in range(480, 801, 32)]
_resize = dict(type='RandomChoiceResize', scales=_scales, keep_ratio=True)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
            dict(type='RandomFlip', prob=0.5),
            dict(
                type='RandomChoice',
                transforms=[
                    [_resize],
                    [
                        dict(type='RandomChoiceResize', scales=[(400, 1333), (500, 1333), (600, 1333)], keep_ratio=True),
                        dict(type='RandomCrop', crop_type='absolute_range', crop_size=(384, 600), allow_negative_crop=True),
                        _resize,
                    ],
                ],
            ),
            dict(type='PackDetInputs'),
        ]
    )
)
