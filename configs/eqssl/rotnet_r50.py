# reproduces: RotNet (Gidaris et al. 2018) with ResNet-50 on ImageNet-1k; published with AlexNet (SGD, batch 192 x 4 rotations, 50
#             epochs in steps); here the same length with a cosine
# cost:       97.2 GFLOP per image (tools/analysis/profile_step.py)
# command:    tools/dist_train.sh configs/eqssl/rotnet_r50.py 8
# expected:   nothing published for this network and schedule (AlexNet: linear 43.8 on conv5)
# measured:   not run to the end by us
_base_ = [
    '../_base_/models/resnet50.py',
    '../_base_/views/mocov2_224.py',
    '../_base_/schedules/sgd.py',
    '../_base_/runtime/imagenet.py',
]
model = dict(head=dict(type='eqssl.RotNetHead'))
train_dataloader = dict(
    batch_size=24,
    dataset=dict(
        views=dict(
            views=[dict(group='global', size=224, scale=(0.08, 1.0), jitter_prob=0.0, gray_prob=0.0, blur_prob=0.0)]
        )
    ),
)
optim_wrapper = dict(optimizer=dict(lr=0.1, nesterov=True, weight_decay=5e-4))
param_scheduler = [dict(type='eqssl.CosineSchedule', param_name='lr', warmup=5)]
train_cfg = dict(type='eqssl.PretrainLoop', max_epochs=50)
auto_scale_lr = dict(base_batch_size=192, enable=False)
