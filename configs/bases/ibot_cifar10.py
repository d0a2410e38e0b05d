# reproduces: nothing published; iBOT (Zhou et al. 2022), with a ViT for minutes on a CPU, beside all other base methods
# cost:       0.63 GFLOP per image; 300 iterations of 128 images
# command:    python tools/train.py configs/bases/ibot_cifar10.py
# expected:   EXPECTED
# measured:   MEASURED
_base_ = ['../_base_/bases_vit.py']
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
optim_wrapper = dict(optimizer=dict(lr=1e-3))
