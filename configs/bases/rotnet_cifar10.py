# reproduces: nothing published; RotNet (Gidaris et al. 2018), for minutes on a CPU
# cost:       0.84 GFLOP per image; 300 iterations of 128 images
# command:    python tools/train.py configs/bases/rotnet_cifar10.py
# expected:   kNN above raw pixels (0.327) and the untrained network (0.265 +- 0.018)
# measured:   kNN top-1 0.382 +- 0.004 (two seeds, CPU; docs/en/user_guides/bases.md)
_base_ = ['../_base_/bases_resnet.py']
model = dict(head=dict(type='eqssl.RotNetHead'))
_crop = dict(group='global', size=32, scale=(0.2, 1.0), jitter=(0.4, 0.4, 0.4, 0.1), jitter_prob=0.8, gray_prob=0.2, blur_prob=0.0)
train_dataloader = dict(dataset=dict(views=dict(views=[_crop])))  # one crop, shown in four rotations
