# reproduces: RotNet, ResNet-18, CIFAR-10, 200 epochs (EffSSL, arXiv 2210.09866, base rows); its lr is not published, taken from RotNet
# cost:       13.3 GFLOP per image (tools/analysis/profile_step.py)
# command:    python tools/train.py configs/eqssl/rotnet_r18_cifar10.py
# expected:   kNN 78.01, linear 84.00 (EffSSL, its table of base methods)
# measured:   not run to the end by us
_base_ = ['../_base_/cifar10_r18.py']
model = dict(head=dict(type='eqssl.RotNetHead', layers=2))
optim_wrapper = dict(optimizer=dict(lr=0.1))
train_dataloader = dict(
    batch_size=128,  # times four rotations
    dataset=dict(
        views=dict(
            views=[
                dict(
                    group='global',
                    size=32,
                    scale=(0.2, 1.0),
                    jitter=(0.4, 0.4, 0.4, 0.1),
                    jitter_prob=0.8,
                    gray_prob=0.2,
                    blur_prob=0.0,
                )
            ]
        )
    ),
)
