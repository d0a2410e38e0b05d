# reproduces: EffSSL's transfer to detection, frozen: as faster_rcnn_r50_voc0712.py, the backbone and its batch norm as pre-trained
# cost:       24k iterations of 16 images of about 800 px; the backbone has no backward pass
# command:    tools/dist_train.sh configs/downstream/mmdet/faster_rcnn_r50_voc0712_frozen.py 8 --cfg-options checkpoint=FILE data_root=/path/to/VOCdevkit
# expected:   44.10 AP (BYOL, ImageNet-100), 45.12 with rotation
# measured:   not run by us
_base_ = ['faster_rcnn_r50_voc0712.py']
model = dict(backbone=dict(frozen_stages=4, norm_eval=True, norm_cfg=dict(type='BN', requires_grad=False)))
