_base_ = ['ibot_recon_vitl.py']
train_cfg = dict(type='eqssl.PretrainLoop', max_epochs=250)
