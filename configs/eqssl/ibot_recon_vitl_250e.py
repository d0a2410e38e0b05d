# reproduces: Ours(iBOT, all, SE(2)), ViT-L/16, ImageNet-1k, 250 epochs as in the paper (arXiv 2503.18753, section 4.1)
# cost:       as ibot_recon_vitl.py, 250 epochs
# command:    tools/dist_train.sh configs/eqssl/ibot_recon_vitl_250e.py 32
# expected:   R2 rotation .937, color .943; linear top-1 81.4 to 81.6; ADE20K 52.38 mIoU (Tables T4 to T6)
# measured:   not run to the end by us
_base_ = ['ibot_recon_vitl.py']
train_cfg = dict(type='eqssl.PretrainLoop', max_epochs=250)
