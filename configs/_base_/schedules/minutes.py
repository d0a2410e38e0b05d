# 300 steps of AdamW, cosine after a short warm-up.
train_cfg = dict(type='eqssl.PretrainLoop', max_iters=300)
optim_wrapper = dict(
    type='eqssl.OptimWrapper',
    constructor='eqssl.OptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.01),
)
param_scheduler = [dict(type='eqssl.CosineSchedule', param_name='lr', warmup=30, by_epoch=False)]
