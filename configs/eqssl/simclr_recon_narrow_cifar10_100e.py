# reproduces: nothing published; the demo's SimCLR + intermediate reconstruction, 100 epochs of CIFAR-10 in batches of 512
# cost:       as configs/demo/simclr_recon_cifar10.py per image; for one GPU
# command:    python tools/train.py configs/eqssl/simclr_recon_narrow_cifar10_100e.py
# expected:   kNN far above raw pixels (0.278)
# measured:   not run to the end by us
_base_ = ['../demo/simclr_recon_cifar10.py']
train_dataloader = dict(batch_size=512, num_workers=4)
train_cfg = dict(_delete_=True, type='eqssl.PretrainLoop', max_epochs=100)
param_scheduler = [dict(type='eqssl.CosineSchedule', param_name='lr', warmup=5)]
default_hooks = dict(
    checkpoint=dict(interval=10, by_epoch=True),
    logger=dict(interval=50),
    evaluation=dict(type='eqssl.EvaluationHook', interval=20, by_epoch=True),
)
