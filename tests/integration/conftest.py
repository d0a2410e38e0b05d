"""A tiny pre-training: four iterations of four images of a folder."""

from __future__ import annotations

import pytest

from tests.conftest import ROOT, write_images

CONFIG = """_base_ = ['{root}/configs/demo/ibot_objects.py']
data_root = '{images}'
train_dataloader = dict(batch_size=4, dataset=dict(source=dict(_delete_=True, type='eqssl.ImageFolder')))
train_cfg = dict(max_iters=4)
param_scheduler = [
    dict(type='eqssl.CosineSchedule', param_name='lr', final=1e-5, warmup=1, by_epoch=False),
    dict(type='eqssl.CosineSchedule', param_name='weight_decay', final=0.4, by_epoch=False),
]
default_hooks = dict(checkpoint=dict(interval=1, by_epoch=False, keep=9), logger=dict(interval=1), evaluation=None)
evaluation = None
"""


@pytest.fixture(scope='session')
def tiny_config(tmp_path_factory):
    folder = tmp_path_factory.mktemp('tiny')
    file = folder / 'tiny.py'
    file.write_text(CONFIG.format(root=ROOT, images=write_images(folder / 'images', 12)))
    return str(file)
