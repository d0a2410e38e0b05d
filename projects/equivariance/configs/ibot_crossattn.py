_base_ = ['ibot.py']
model = dict(neck={{_base_._split}}, auxiliary=dict(crossattn={{_base_._crossattn}}))
