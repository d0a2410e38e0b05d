_base_ = ['vicreg.py']
model = dict(neck={{_base_._split_linear}}, auxiliary=dict(crossattn={{_base_._crossattn}}))
