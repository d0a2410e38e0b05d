# reproduces: SimCLR, ResNet-50, ImageNet-1k, 100 epochs (Chen et al. 2020; first version of the official code), batch 4096
# cost:       48.6 GFLOP per image (tools/analysis/profile_step.py)
# command:    tools/dist_train.sh configs/eqssl/simclr_r50.py 32
# expected:   linear top-1 64.5 after 100 epochs (official README); 69.3 after 1000 (paper)
# measured:   not run to the end by us
_base_ = [
    '../_base_/models/resnet50.py',
    '../_base_/views/simclr_224.py',
    '../_base_/schedules/lars.py',
    '../_base_/runtime/imagenet.py',
]
model = dict(head=dict(type='eqssl.SimCLRHead', temperature=0.1))
train_dataloader = dict(batch_size=128)
train_cfg = dict(type='eqssl.PretrainLoop', max_epochs=100)
auto_scale_lr = dict(base_batch_size=4096, enable=False)
