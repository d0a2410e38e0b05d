# A few hundred steps of AdamW, cosine after a short warm-up.
train_cfg = dict(type='eqssl.PretrainLoop', max_iters=300)
optim_wrapper = dict(
    type='eqssl.OptimWrapper',
    constructor='eqssl.OptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.04),
    clip_grad=dict(max_norm=3.0, per_parameter=True),
)
param_scheduler = [
    dict(type='eqssl.CosineSchedule', param_name='lr', final=1e-5, warmup=40, by_epoch=False),
    dict(type='eqssl.CosineSchedule', param_name='weight_decay', final=0.4, by_epoch=False),
]
