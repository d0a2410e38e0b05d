# reproduces: EffSSL's transfer to detection, fine-tuned: Faster R-CNN with FPN, ResNet-50, VOC 07+12 trainval, test on VOC 07. The paper's
#             schedule is not public; this is MoCo's (24k iterations of 16 images, synchronized batch norm)
# cost:       24k iterations of 16 images of about 800 px
# command:    tools/dist_train.sh configs/downstream/mmdet/faster_rcnn_r50_voc0712.py 8 --cfg-options checkpoint=FILE data_root=/path/to/VOCdevkit
# expected:   43.80 AP (BYOL, ImageNet-100), 45.19 with rotation
# measured:   not run by us
_base_ = ['mmdet::_base_/models/faster-rcnn_r50_fpn.py', '../_base_/voc0712_24k.py']
_norm = dict(type='SyncBN', requires_grad=True)
model = dict(
    backbone=dict(
        frozen_stages=-1,
        norm_eval=False,
        norm_cfg=_norm,
        init_cfg=dict(_delete_=True, type='eqssl.PretrainedBackbone', checkpoint=None),
    ),
    neck=dict(norm_cfg=_norm),
    roi_head=dict(bbox_head=dict(num_classes=20)),
)
