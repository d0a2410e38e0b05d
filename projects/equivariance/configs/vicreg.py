_base_ = ['_base_/cifar10.py']
model = dict(head=dict(type='eqssl.VICRegHead', hidden=512, out_dim=512, sim_weight=10.0, std_weight=10.0, cov_weight=1.0))
train_dataloader = dict(dataset=dict(mask=None))
