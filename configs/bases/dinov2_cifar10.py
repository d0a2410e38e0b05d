# reproduces: nothing published; DINOv2 (Oquab et al. 2024; separate heads, Sinkhorn, KoLeo), with a ViT, for minutes on a CPU
# cost:       0.63 GFLOP per image; 300 iterations of 128 images
# command:    python tools/train.py configs/bases/dinov2_cifar10.py
# expected:   kNN above raw pixels (0.327) and the untrained network (0.345 +- 0.006)
# measured:   kNN top-1 0.376 (one seed, CPU; docs/en/user_guides/bases.md)
_base_ = ['../_base_/bases_vit.py']
model = dict(
    head=dict(
        type='eqssl.DINOv2Head',
        hidden=512,
        bottleneck=128,
        out_dim=256,
        shared=False,
        centering='sinkhorn',
        momentum=0.97,
        teacher_temp=0.04,
        freeze_last_layer_epochs=0,
    )
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
