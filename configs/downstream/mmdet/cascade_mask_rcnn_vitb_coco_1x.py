# reproduces: iBOT's Cascade Mask R-CNN on COCO, ViT-B/16: as ViT-S, layer decay 0.75 and drop path 0.2
# cost:       12 epochs of COCO (118k images) at 1333 x 800; 4200 tokens in every block
# command:    tools/dist_train.sh configs/downstream/mmdet/cascade_mask_rcnn_vitb_coco_1x.py 8 --cfg-options checkpoint=FILE data_root=/path/to/coco
# expected:   51.2 box and 44.2 mask AP (iBOT ViT-B/16, 400 epochs)
# measured:   not run by us
_base_ = ['cascade_mask_rcnn_vits_coco_1x.py']
train_dataloader = dict(batch_size=2)
auto_scale_lr = dict(base_batch_size=16)
model = dict(
    backbone=dict(arch='base', drop_path_rate=0.2),
    neck=[
        dict(type='mmseg.Feature2Pyramid', embed_dim=768, rescales=[4, 2, 1, 0.5], norm_cfg=dict(type='SyncBN', requires_grad=True)),
        dict(type='FPN', in_channels=[768] * 4, out_channels=256, num_outs=5),
    ],
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay=0.75))
