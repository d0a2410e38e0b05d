# reproduces: nothing published; the short schedule, to compare checkpoints
# cost:       20k iterations of 16 images of 512 px (an eighth of the full schedule)
# command:    tools/dist_train.sh configs/downstream/mmseg/upernet_vits_ade20k_20k.py 8 --cfg-options checkpoint=FILE
# expected:   below upernet_vits_ade20k_160k.py
# measured:   not run by us
_base_ = ['upernet_vits_ade20k_160k.py']
train_cfg = dict(max_iters=20000, val_interval=5000)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', eta_min=0.0, power=1.0, by_epoch=False, begin=1500, end=20000),
]
default_hooks = dict(checkpoint=dict(interval=5000))
