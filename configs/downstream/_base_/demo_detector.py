# The demo's ViT (128 wide, patches of 8) as a detector of small objects, small enough for a CPU. Configs take `_base_.demo_detector` beside
# one of mmdet's models, and say their data, length and heads.
_base_ = ['mmdet_runtime.py']
demo_detector = dict(
    backbone=dict(
        _delete_=True,
        type='eqssl.DenseViT',
        arch=dict(embed_dims=128, num_layers=4, num_heads=4, feedforward_channels=512),
        img_size=32,
        patch_size=8,
        init_cfg=dict(type='eqssl.PretrainedBackbone', checkpoint=None, branch='teacher'),
    ),
    neck=dict(_delete_=True, type='eqssl.SimpleFeaturePyramid', in_channels=128, out_channels=64),
    rpn_head=dict(in_channels=64, feat_channels=64, anchor_generator=dict(strides=[2, 4, 8, 16, 32])),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=128)),
        rpn_proposal=dict(nms_pre=500, max_per_img=200),
        rcnn=dict(sampler=dict(num=64)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=200)),
)
demo_roi = dict(out_channels=64, featmap_strides=[2, 4, 8, 16], finest_scale=28)
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='eqssl.OptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    paramwise_cfg=dict(layer_decay=0.9, decay_tokens=False),
    clip_grad=dict(max_norm=10.0),
)
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=100),
    logger=dict(interval=10, log_metric_by_epoch=False),
    visualization=dict(interval=1),
)
log_processor = dict(by_epoch=False)
