# reproduces: nothing published; MoCo v3 (Chen et al. 2021), for minutes on a CPU
# cost:       0.56 GFLOP per image; 300 iterations of 128 images
# command:    python tools/train.py configs/bases/mocov3_cifar10.py
# expected:   kNN above raw pixels (0.327) and the untrained network (0.265 +- 0.018)
# measured:   kNN top-1 0.379 +- 0.003 (three seeds, CPU; docs/en/user_guides/bases.md)
_base_ = ['../_base_/bases_resnet.py']
model = dict(
    head=dict(
        type='eqssl.MoCoV3Head',
        hidden=512,
        out_dim=128,
        layers=2,
        predictor_norm=False,
        momentum=0.9,
    )
)
optim_wrapper = dict(optimizer=dict(lr=3e-3))
