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
