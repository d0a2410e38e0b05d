# reproduces: DINO, ViT-S/16, ImageNet-1k, 300 epochs (Caron et al. 2021, README of the official code), batch 1024
# cost:       113 GFLOP per image (tools/analysis/profile_step.py)
# command:    tools/dist_train.sh configs/eqssl/dino_vits.py 16
# expected:   kNN 73.3, linear 76.0 (official README)
# measured:   not run to the end by us
_base_ = [
    '../_base_/views/dino_224.py',
    '../_base_/schedules/ibot.py',
    '../_base_/runtime/imagenet.py',
]
model = dict(
    type='eqssl.SSLPretrainer',
    backbone=dict(type='eqssl.VisionTransformer', arch='deit-small', drop_path_rate=0.1),
    head=dict(
        type='eqssl.DINOHead',
        out_dim=65536,
        norm_last_layer=False,
        teacher_temp=0.07,
        warmup_teacher_temp=0.04,
        warmup_teacher_temp_epochs=30,
        momentum=0.996,
    ),
)
train_dataloader = dict(batch_size=64)
train_cfg = dict(type='eqssl.PretrainLoop', max_epochs=300)
