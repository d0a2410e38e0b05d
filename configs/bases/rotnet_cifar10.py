# reproduces: nothing published; RotNet (Gidaris et al. 2018) for minutes on a CPU, beside all other base methods
# cost:       0.84 GFLOP per image; 300 iterations of 128 images
# command:    python tools/train.py configs/bases/rotnet_cifar10.py
# expected:   EXPECTED
# measured:   MEASURED
_base_ = ['../_base_/bases_resnet.py']
model = dict(head=dict(type='eqssl.RotNetHead'))
train_dataloader = dict(dataset=dict(views=dict(views=[dict(
    group='global', size=32, scale=(0.2, 1.0), jitter=(0.4, 0.4, 0.4, 0.1), jitter_prob=0.8, gray_prob=0.2, blur_prob=0.0
)])))  # one crop, shown in four rotations
