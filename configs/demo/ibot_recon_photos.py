# reproduces: nothing published; iBOT + intermediate reconstruction on windows of 100 photographs
# cost:       as ibot_recon_cifar10.py
# command:    make demo METHOD=ibot
# expected:   more R2 than iBOT alone and no less kNN
# measured:   not yet beside its controls; docs/en/user_guides/demo.md has CIFAR-10 and the renders
_base_ = ['ibot_recon_cifar10.py']
data_root = 'photos'
