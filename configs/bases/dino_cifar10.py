# reproduces: nothing published; DINO (Caron et al. 2021) with Sinkhorn assignments for minutes on a CPU, beside all other base methods
# cost:       0.57 GFLOP per image; 300 iterations of 128 images
# command:    python tools/train.py configs/bases/dino_cifar10.py
# expected:   EXPECTED
# measured:   MEASURED
_base_ = ['../_base_/bases_resnet.py']
model = dict(
    head=dict(
        type='eqssl.DINOHead',
        hidden=512,
        bottleneck=128,
        out_dim=1024,
        momentum=0.97,
        freeze_last_layer_epochs=0,
        centering='sinkhorn',
    )
)
