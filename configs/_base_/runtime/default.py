# What every pre-training run shares: hooks that read nothing back between log intervals, exact resume.
default_scope = 'mmpretrain'
runner_type = 'eqssl.Runner'
default_hooks = dict(
    runtime_info=dict(type='eqssl.RuntimeInfoHook'),
    timer=None,
    sampler_seed=None,
    logger=dict(type='eqssl.LogHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    teacher=dict(type='eqssl.TeacherEMAHook'),
    checkpoint=dict(type='eqssl.CheckpointHook', interval=1, by_epoch=True, keep=2),
    unreadable=dict(type='eqssl.UnreadableImagesHook', max_share=0.01),
    signals=dict(type='eqssl.SignalHook'),
)
env_cfg = dict(cudnn_benchmark=True, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
visualizer = dict(type='Visualizer', vis_backends=[])
randomness = dict(seed=0)
log_level = 'INFO'
load_from = None
resume = False
