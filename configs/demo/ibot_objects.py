# reproduces: nothing published; the base of ibot_recon_objects.py: iBOT on the embedded renders
# cost:       as ibot_cifar10.py
# command:    python tools/train.py configs/demo/ibot_objects.py
# expected:   less R2 than ibot_recon_objects.py
# measured:   kNN top-1 0.083 +- 0.001, R2 rotation 0.455 +- 0.034, R2 mean 0.641 +- 0.009 (three seeds, CPU)
_base_ = ['ibot_cifar10.py']
data_root = 'objects'
evaluation = dict(
    tasks=dict(
        equivariance=dict(draws=4, epochs=10),  # 3380 images with one theta each are too few pairs for the probe
        latents=dict(
            type='eqssl.LatentRegression',
            groups=dict(pose=dict(columns=[0, 1, 2, 3]), background=dict(columns=[7], circular=True)),
        )
    )
)
