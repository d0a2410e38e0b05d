# ResNet-50; batch norm over all ranks, as published by all methods that use it.
model = dict(type='eqssl.SSLPretrainer', backbone=dict(type='mmpretrain.ResNet', depth=50))
sync_bn = 'torch'
