# reproduces: nothing published; iBOT (Zhou et al. 2022) with a ViT-Ti/4 on CIFAR-10, the base of ibot_recon_vitti_cifar10.py
# cost:       6.32 GFLOP per image (tools/analysis/profile_step.py); for one GPU
# command:    python tools/train.py configs/eqssl/ibot_vitti_cifar10.py
# expected:   kNN far above raw pixels (0.327); less R2 than ibot_recon_vitti_cifar10.py
# measured:   not run to the end by us
_base_ = [
    '../_base_/models/vit_tiny_cifar.py',
    '../_base_/views/demo_32.py',
    '../_base_/schedules/ibot.py',
    '../_base_/evaluation/cifar10.py',
    '../_base_/runtime/default.py',
]
data_root = 'cifar10'
model = dict(
    head=dict(
        type='eqssl.IBOTHead',
        in_channels=192,
        out_dim=1024,
        hidden=1024,
        bottleneck=256,
        norm_last_layer=True,
        warmup_teacher_temp=0.04,
        teacher_temp=0.04,
        warmup_teacher_temp_epochs=1,
        momentum=0.99,
        centering='sinkhorn',
    )
)
train_dataloader = dict(
    batch_size=512,
    num_workers=4,
    dataset=dict(source=dict(type='eqssl.ArrayImages', split='train'), mask=dict(grid=8)),
)
train_cfg = dict(type='eqssl.PretrainLoop', max_epochs=200)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
evaluation = dict(tasks=dict(knn=dict(part='all')))  # CLS and pooled patches: CLS alone is slow to learn
default_hooks = dict(
    checkpoint=dict(interval=10),
    logger=dict(interval=50),
    evaluation=dict(type='eqssl.EvaluationHook', interval=20),
)
