# reproduces: nothing published; the base of ibot_recon_photos.py: iBOT on windows of 100 photographs
# cost:       as ibot_cifar10.py with four times as many tokens; 300 iterations of 128 images, 6 to 12 minutes on two cores
# command:    python tools/train.py configs/demo/ibot_photos.py
# expected:   kNN far above raw pixels (0.506); less R2 than ibot_recon_photos.py
# measured:   not yet beside its controls
_base_ = ['ibot_cifar10.py']
data_root = 'photos'
# patches of 4 px lift kNN most; fewer prototypes and a faster teacher fit a run of 300 iterations
model = dict(backbone=dict(patch_size=4), head=dict(out_dim=256, momentum=0.97))
train_dataloader = dict(dataset=dict(mask=dict(grid=8)))
