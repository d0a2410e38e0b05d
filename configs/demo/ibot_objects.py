# reproduces: nothing published; the base of ibot_recon_objects.py: iBOT on the embedded renders
# cost:       as ibot_cifar10.py
# command:    python tools/train.py configs/demo/ibot_objects.py
# expected:   less R2 than ibot_recon_objects.py
# measured:   @obase@
_base_ = ['ibot_cifar10.py']
data_root = 'objects'
evaluation = dict(
    tasks=dict(
        latents=dict(
            type='eqssl.LatentRegression',
            groups=dict(pose=dict(columns=[0, 1, 2, 3]), background=dict(columns=[7], circular=True)),
        )
    )
)
