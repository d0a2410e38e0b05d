# reproduces: nothing published; Mask R-CNN on a plain ViT-S/16 with attention over the whole image and a pyramid of resampled maps
# cost:       12 epochs of COCO (118k images) at 1333 x 800; 4200 tokens in every block
# command:    tools/dist_train.sh configs/downstream/mmdet/mask_rcnn_vits_coco_1x.py 8 --cfg-options checkpoint=FILE data_root=/path/to/coco
# expected:   no published number for this setting
# measured:   not run by us
_base_ = ['mmdet::_base_/models/mask-rcnn_r50_fpn.py', '../_base_/vit_fpn.py', '../_base_/coco_1x.py']
model = _base_.vit_fpn
