_base_ = ['_base_/cifar10.py']
model = dict(
    head=dict(
        type='eqssl.IBOTHead',
        hidden=512,
        bottleneck=128,
        out_dim=256,
        momentum=0.97,
        teacher_temp=0.04,
        freeze_last_layer_epochs=0,
    )
)
