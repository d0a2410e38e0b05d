_base_ = ['ibot.py']
model = dict(neck={{_base_._split}}, auxiliary=dict(recon={{_base_._recon}}))
