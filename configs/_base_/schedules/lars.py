# LARS for large batches: biases and norms are neither decayed nor adapted; cosine after 10 epochs of warm-up.
optim_wrapper = dict(
    type='eqssl.OptimWrapper',
    constructor='eqssl.OptimWrapperConstructor',
    optimizer=dict(type='eqssl.LARS', lr=4.8, momentum=0.9, weight_decay=1e-6, eta=0.001),
    precision='bf16',
)
param_scheduler = [dict(type='eqssl.CosineSchedule', param_name='lr', warmup=10)]
