# reproduces: nothing published; UPerNet, ViT-S/16, VOC 2012 segmentation (1464 training images)
# cost:       20k iterations of 16 images of 512 px
# command:    tools/dist_train.sh configs/downstream/mmseg/upernet_vits_voc12_20k.py 8 --cfg-options checkpoint=FILE data_root=VOCdevkit/VOC2012
# expected:   no published number for this setting
# measured:   not run by us
_base_ = [
    '../_base_/mmseg_runtime.py',
    '../_base_/upernet_vits.py',
    '../_base_/voc12.py',
    '../_base_/adamw_layer_decay.py',
]
model = dict(decode_head=dict(num_classes=21), auxiliary_head=dict(num_classes=21))
train_cfg = dict(max_iters=20000, val_interval=5000)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', eta_min=0.0, power=1.0, by_epoch=False, begin=1500, end=20000),
]
default_hooks = dict(checkpoint=dict(interval=5000))
