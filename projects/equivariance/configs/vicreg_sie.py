_base_ = ['vicreg.py']
model = dict(neck={{_base_._split_linear}}, auxiliary=dict(sie={{_base_._sie}}))
