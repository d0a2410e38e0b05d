# 200 epochs of SGD with a cosine after 10 epochs of warm-up, batches of 512 (EffSSL, arXiv 2210.09866; its weight decay
# and batch size are not published: default: 512, 5e-4).
train_cfg = dict(type='eqssl.PretrainLoop', max_epochs=200)
optim_wrapper = dict(
    type='eqssl.OptimWrapper',
    constructor='eqssl.OptimWrapperConstructor',
    optimizer=dict(type='SGD', lr=0.5, momentum=0.9, weight_decay=5e-4),
    precision='bf16',
)
param_scheduler = [dict(type='eqssl.CosineSchedule', param_name='lr', warmup=10)]
