# AdamW, lr 5e-4 * batch / 256, cosine to 1e-6 after 10 epochs of warm-up; weight decay 0.04 to 0.4; each parameter's
# gradient clipped to norm 3. The numbers are for a batch of 1024; --auto-scale-lr adapts lr to another one.
optim_wrapper = dict(
    type='eqssl.OptimWrapper',
    constructor='eqssl.OptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.04),
    clip_grad=dict(max_norm=3.0, per_parameter=True),
    precision='bf16',
)
param_scheduler = [
    dict(type='eqssl.CosineSchedule', param_name='lr', warmup=10, final=1e-6),
    dict(type='eqssl.CosineSchedule', param_name='weight_decay', final=0.4),
]
auto_scale_lr = dict(base_batch_size=1024, enable=False)
