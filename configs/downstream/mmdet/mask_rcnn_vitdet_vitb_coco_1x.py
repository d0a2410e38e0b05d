# reproduces: nothing published at this length; ViTDet's Mask R-CNN at 12 epochs instead of 100, ViT-B/16, without relative positions; lr, weight
#             decay and layer decay are ViTDet's (for 64 images a step; 16 here)
# cost:       12 epochs of COCO (118k images) at 1333 x 800
# command:    tools/dist_train.sh configs/downstream/mmdet/mask_rcnn_vitdet_vitb_coco_1x.py 8 --cfg-options checkpoint=FILE data_root=/path/to/coco
# expected:   below ViTDet's 51.6 box and 45.9 mask AP (MAE, 100 epochs at 1024 x 1024, relative positions)
# measured:   not run by us
_base_ = ['mask_rcnn_vitdet_vits_coco_1x.py']
model = dict(backbone=dict(arch='base'), neck=dict(in_channels=768))
optim_wrapper = dict(optimizer=dict(weight_decay=0.1), paramwise_cfg=dict(layer_decay=0.7))
