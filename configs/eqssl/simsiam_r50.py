# reproduces: SimSiam, ResNet-50, ImageNet-1k, 100 epochs (Chen & He 2021, official code), batch 512
# cost:       48.8 GFLOP per image (tools/analysis/profile_step.py)
# command:    tools/dist_train.sh configs/eqssl/simsiam_r50.py 8
# expected:   linear top-1 68.1 (official README)
# measured:   not run to the end by us
_base_ = [
    '../_base_/models/resnet50.py',
    '../_base_/views/mocov2_224.py',
    '../_base_/schedules/sgd.py',
    '../_base_/runtime/imagenet.py',
]
model = dict(head=dict(type='eqssl.SimSiamHead', hidden=2048, out_dim=2048, predictor_hidden=512))
train_dataloader = dict(batch_size=64)
optim_wrapper = dict(paramwise_cfg=dict(decay_norm_bias=True, constant_lr=['head.predictor']))
train_cfg = dict(type='eqssl.PretrainLoop', max_epochs=100)
auto_scale_lr = dict(base_batch_size=512, enable=False)
