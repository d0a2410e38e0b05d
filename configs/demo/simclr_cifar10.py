# reproduces: nothing published; simclr_photos.py on CIFAR-10
# cost:       as simclr_photos.py
# command:    make demo DATA=cifar10
# expected:   kNN above raw pixels and random initialization
# measured:   kNN 0.377 +- 0.006 (raw pixels 0.278, random initialization 0.245), R2 mean 0.660 +- 0.007 (three seeds, CPU)
_base_ = ['simclr_photos.py']
data_root = 'cifar10'
