_base_ = ['simclr.py']
model = dict(neck={{_base_._split_linear}}, auxiliary=dict(sie={{_base_._sie_light}}))
