# reproduces: COCO of arXiv 2503.18753, table 6 (Mask R-CNN, ViT-L/16, 12 epochs). The paper does not say how the ViT is made a detector:
#             windows, pyramid, weight decay, layer decay and drop path are ViTDet's
# cost:       12 epochs of COCO (118k images) at 1333 x 800
# command:    tools/dist_train.sh configs/downstream/mmdet/mask_rcnn_vitdet_vitl_coco_1x.py 16 --cfg-options checkpoint=FILE data_root=/path/to/coco train_dataloader.batch_size=1
# expected:   iBOT 51.58 box and 44.48 mask AP; with reconstruction 51.92 and 44.78 (means of three)
# measured:   not run by us
_base_ = ['mask_rcnn_vitdet_vits_coco_1x.py']
model = dict(
    backbone=dict(arch='large', drop_path_rate=0.4, checkpoint_blocks=True), neck=dict(in_channels=1024)
)
optim_wrapper = dict(optimizer=dict(weight_decay=0.1), paramwise_cfg=dict(layer_decay=0.8))
