# reproduces: nothing published; simclr_recon_photos.py on CIFAR-10
# cost:       as simclr_recon_photos.py
# command:    make demo DATA=cifar10
# expected:   FIXME
# measured:   FIXME
_base_ = ['simclr_recon_photos.py']
data_root = 'cifar10'
