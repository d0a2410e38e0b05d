# AdamW, lr 1e-4 * batch / 256 for a batch of 2048, 800 epochs with a cosine (arXiv 2503.18753, section 4.1; weight decay and
# warm-up are not published).
optim_wrapper = dict(
    type='eqssl.OptimWrapper',
    constructor='eqssl.OptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=8e-4, weight_decay=0.05),
    precision='bf16',
)
param_scheduler = [dict(type='eqssl.CosineSchedule', param_name='lr', warmup=10)]
train_cfg = dict(type='eqssl.PretrainLoop', max_epochs=800)
auto_scale_lr = dict(base_batch_size=2048, enable=False)
