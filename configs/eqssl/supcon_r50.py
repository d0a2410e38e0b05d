# reproduces: SupCon, ResNet-50, ImageNet-1k, 350 epochs (Khosla et al. 2020, the authors' google-research script), batch
#             6144; here with SimCLR's views, a bias in the projection
#             and no weight decay on biases, there with AutoAugment, no such bias, normalized features in front
# cost:       48.6 GFLOP per image (tools/analysis/profile_step.py)
# command:    tools/dist_train.sh configs/eqssl/supcon_r50.py 32
# expected:   linear top-1 78.7 (paper, with AutoAugment)
# measured:   not run to the end by us
_base_ = [
    '../_base_/models/resnet50.py',
    '../_base_/views/simclr_224.py',
    '../_base_/schedules/lars.py',
    '../_base_/runtime/imagenet.py',
]
model = dict(head=dict(type='eqssl.SupConHead', layers=1, out_dim=128, temperature=0.1, base_temperature=1.0))
train_dataloader = dict(batch_size=192, dataset=dict(source=dict(with_label=True)))
optim_wrapper = dict(optimizer=dict(lr=9.6, weight_decay=1e-3))
param_scheduler = [dict(type='eqssl.CosineSchedule', param_name='lr', warmup=12)]
train_cfg = dict(type='eqssl.PretrainLoop', max_epochs=350)
auto_scale_lr = dict(base_batch_size=6144, enable=False)
