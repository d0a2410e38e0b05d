_base_ = [
    '../_base_/models/ibot_vitl.py',
    '../_base_/views/ibot_224_large.py',
    '../_base_/schedules/ibot.py',
    '../_base_/runtime/default.py',
]
train_dataloader = dict(batch_size=32)
optim_wrapper = dict(clip_grad=dict(max_norm=0.3))
param_scheduler = [
    dict(type='eqssl.CosineSchedule', param_name='lr', warmup=10, final=2e-6),
    dict(type='eqssl.CosineSchedule', param_name='weight_decay', final=0.4),
]
train_cfg = dict(type='eqssl.PretrainLoop', max_epochs=250)
