_base_ = ['ibot.py']
model = dict(neck={{_base_._split}}, auxiliary=dict(sie={{_base_._sie_light}}))
