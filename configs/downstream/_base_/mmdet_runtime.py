# mmdet's logs and pictures; a step counter by epoch, as COCO schedules have it.
_base_ = ['runtime.py']
default_scope = 'mmdet'
default_hooks = dict(
    checkpoint=dict(by_epoch=True, interval=1),
    logger=dict(log_metric_by_epoch=True),
    visualization=dict(type='DetVisualizationHook', draw=True, interval=100),
)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='DetLocalVisualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(by_epoch=True)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
