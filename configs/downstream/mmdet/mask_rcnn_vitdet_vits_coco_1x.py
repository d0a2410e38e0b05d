# reproduces: nothing published; ViTDet's Mask R-CNN at 12 epochs instead of 100, ViT-S/16, without relative positions
# cost:       12 epochs of COCO (118k images) at 1333 x 800
# command:    tools/dist_train.sh configs/downstream/mmdet/mask_rcnn_vitdet_vits_coco_1x.py 8 --cfg-options checkpoint=FILE data_root=/path/to/coco
# expected:   no published number for this setting
# measured:   not run by us
_base_ = ['../_base_/mask_rcnn_vitdet.py', '../_base_/coco_1x.py']
