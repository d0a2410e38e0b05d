# reproduces: iBOT's Cascade Mask R-CNN on COCO, ViT-S/16: 12 epochs, AdamW 1e-4, weight decay 0.05, layer decay 0.8, steps at 8 and 11, DETR's
#             augmentation; box heads of four convolutions and a layer with GIoU
# cost:       12 epochs of COCO (118k images) at 1333 x 800; 4200 tokens in every block
# command:    tools/dist_train.sh configs/downstream/mmdet/cascade_mask_rcnn_vits_coco_1x.py 8 --cfg-options checkpoint=FILE data_root=/path/to/coco
# expected:   49.4 box and 42.6 mask AP (iBOT ViT-S/16, 800 epochs)
# measured:   not run by us
_base_ = [
    'mmdet::_base_/models/cascade-mask-rcnn_r50_fpn.py',
    '../_base_/vit_fpn.py',
    '../_base_/coco_1x_multiscale.py',
]
train_dataloader = dict(batch_size=4)  # 32 images on 8 GPUs, as iBOT's ViT-S (its ViT-B: 16)
auto_scale_lr = dict(base_batch_size=32)
_stds = [(0.1, 0.2), (0.05, 0.1), (0.033, 0.067)]  # of centers and sizes, one pair a stage
model = dict(
    roi_head=dict(
        bbox_head=[
            dict(
                type='Shared4Conv1FCBBoxHead',
                in_channels=256,
                conv_out_channels=256,
                fc_out_channels=1024,
                roi_feat_size=7,
                num_classes=80,
                bbox_coder=dict(
                    type='DeltaXYWHBBoxCoder', target_means=[0.0] * 4, target_stds=[_center, _center, _size, _size]
                ),
                reg_class_agnostic=False,
                reg_decoded_bbox=True,
                norm_cfg=dict(type='SyncBN', requires_grad=True),
                loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
                loss_bbox=dict(type='GIoULoss', loss_weight=10.0),
            )
            for _center, _size in _stds
        ]
    ),
    **_base_.vit_fpn,
)
