# reproduces: BYOL, ResNet-50, ImageNet-1k, 300 epochs (Grill et al. 2020, official config), batch 4096
# cost:       65.1 GFLOP per image (tools/analysis/profile_step.py)
# command:    tools/dist_train.sh configs/eqssl/byol_r50.py 32
# expected:   linear top-1 72.5 (paper)
# measured:   not run to the end by us
_base_ = [
    '../_base_/models/resnet50.py',
    '../_base_/views/byol_224.py',
    '../_base_/schedules/lars.py',
    '../_base_/runtime/imagenet.py',
]
model = dict(head=dict(type='eqssl.BYOLHead', hidden=4096, out_dim=256, momentum=0.99))
train_dataloader = dict(batch_size=128)
train_cfg = dict(type='eqssl.PretrainLoop', max_epochs=300)
auto_scale_lr = dict(base_batch_size=4096, enable=False)
