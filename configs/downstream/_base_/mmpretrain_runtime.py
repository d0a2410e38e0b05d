# mmpretrain's loop, logs and metrics.
_base_ = ['runtime.py']
default_scope = 'mmpretrain'
default_hooks = dict(checkpoint=dict(by_epoch=True, interval=10), logger=dict(interval=100, log_metric_by_epoch=True))
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='UniversalVisualizer', vis_backends=vis_backends)
val_cfg = dict()
test_cfg = dict()
val_evaluator = dict(type='Accuracy', topk=(1, 5))
test_evaluator = val_evaluator
