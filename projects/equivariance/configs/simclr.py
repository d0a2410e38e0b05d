_base_ = ['_base_/cifar10.py']
model = dict(head=dict(type='eqssl.SimCLRHead', temperature=0.2))
train_dataloader = dict(dataset=dict(mask=None))
