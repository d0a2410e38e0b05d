# reproduces: nothing published; simclr_recon_photos.py on CIFAR-10
# cost:       as simclr_recon_photos.py
# command:    make demo DATA=cifar10
# expected:   more R2 than SimCLR alone, of color most
# measured:   kNN 0.362 +- 0.008, R2 mean 0.722 +- 0.021, color 0.751 +- 0.011; SimCLR alone: 0.377, 0.660, 0.519 (three seeds, CPU)
_base_ = ['simclr_recon_photos.py']
data_root = 'cifar10'
