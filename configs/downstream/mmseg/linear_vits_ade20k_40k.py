# reproduces: linear segmentation of frozen patch tokens (DINOv2, section 7.4: a linear layer with batch norm on the last block's tokens)
# cost:       40k iterations of 16 images of 512 px; the backbone has no backward pass
# command:    tools/dist_train.sh configs/downstream/mmseg/linear_vits_ade20k_40k.py 8 --cfg-options checkpoint=FILE
# expected:   iBOT ViT-L/16 44.6, DINOv2 ViT-S/14 44.3 mIoU (DINOv2, table 10)
# measured:   not run by us
_base_ = ['upernet_vits_ade20k_160k.py']
custom_imports = dict(imports=['eqssl.downstream', 'eqssl.downstream.linear_seg_head'])
model = dict(
    backbone=dict(out_indices=(11,), final_norm=True, frozen_stages=12, drop_path_rate=0.0),
    neck=None,
    auxiliary_head=None,
    decode_head=dict(
        _delete_=True,
        type='eqssl.LinearSegHead',
        in_channels=384,
        in_index=0,
        channels=384,
        num_classes=150,
        dropout_ratio=0.0,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='mmseg.CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
)
optim_wrapper = dict(_delete_=True, type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-4))
train_cfg = dict(max_iters=40000, val_interval=5000)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', eta_min=0.0, power=1.0, by_epoch=False, begin=1500, end=40000),
]
default_hooks = dict(checkpoint=dict(interval=5000))
