# SGD with momentum and a cosine.
optim_wrapper = dict(
    type='eqssl.OptimWrapper',
    constructor='eqssl.OptimWrapperConstructor',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4),
    precision='bf16',
)
param_scheduler = [dict(type='eqssl.CosineSchedule', param_name='lr')]
