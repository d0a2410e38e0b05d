# reproduces: nothing published; iBOT + intermediate reconstruction on windows of 100 photographs
# cost:       as ibot_photos.py, +10 %
# command:    make demo METHOD=ibot
# expected:   more R2 than iBOT alone and no less kNN
# measured:   kNN 0.827 +- 0.005, R2 mean 0.732 +- 0.011 (iBOT alone: 0.840, 0.712) (two seeds, CPU)
_base_ = ['ibot_recon_cifar10.py']
data_root = 'photos'
# ibot_photos.py's changes, as many columns for the head, and a decoder that keeps contrast
model = dict(
    backbone=dict(patch_size=4),
    head=dict(out_dim=256, momentum=0.97),
    neck=dict(out_channels=512),
    auxiliary=dict(recon=dict(decoder=dict(groups=None))),
)
train_dataloader = dict(dataset=dict(mask=dict(grid=8)))
