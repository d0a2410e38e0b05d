# reproduces: MoCo v3, ResNet-50, ImageNet-1k, 100 epochs (Chen et al. 2021, official CONFIG.md), batch 4096
# cost:       65.1 GFLOP per image (tools/analysis/profile_step.py)
# command:    tools/dist_train.sh configs/eqssl/mocov3_r50.py 32
# expected:   linear top-1 68.9 (official README)
# measured:   not run to the end by us
_base_ = [
    '../_base_/models/resnet50.py',
    '../_base_/views/byol_224.py',
    '../_base_/schedules/lars.py',
    '../_base_/runtime/imagenet.py',
]
model = dict(head=dict(type='eqssl.MoCoV3Head', layers=2, predictor_norm=False, temperature=1.0, momentum=0.99))
_crops = dict(group='global', size=224, scale=(0.2, 1.0), jitter=(0.4, 0.4, 0.2, 0.1), gray_prob=0.2)
train_dataloader = dict(
    batch_size=128,
    dataset=dict(views=dict(views=[dict(blur_prob=1.0, **_crops), dict(blur_prob=0.1, solarize_prob=0.2, **_crops)])),
)
optim_wrapper = dict(optimizer=dict(lr=9.6))
train_cfg = dict(type='eqssl.PretrainLoop', max_epochs=100)
auto_scale_lr = dict(base_batch_size=4096, enable=False)
