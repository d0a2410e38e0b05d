"""``eqssl train CONFIG --try N``: schedules shrink with the run, and it says what all would take."""

from __future__ import annotations

import json

import pytest

from eqssl.apps.train import run_training
from eqssl.apps.trial import as_duration
from eqssl.utils.errors import UserError
from tests.conftest import ROOT
from tests.integration.test_bad_input import arguments

pytestmark = pytest.mark.integration
SMALL = {
    'model.backbone.arch': dict(_delete_=True, embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64),
    'model.backbone.img_size': 32, 'model.backbone.patch_size': 8, 'model.head.out_dim': 32, 'model.head.hidden': 16,
    'model.head.bottleneck': 8, 'train_dataloader.batch_size': 4, 'train_dataloader.num_workers': 0,
    'train_dataloader.dataset.views.views.0.size': 32, 'train_dataloader.dataset.views.views.1.size': 32,
    'train_dataloader.dataset.views.views.2.size': 16, 'optim_wrapper.precision': 'fp32',
    'model.head.freeze_last_layer_epochs': 100, 'model.head.in_channels': 32, 'train_dataloader.dataset.mask.grid': 4,
}  # fmt: skip


def test_a_recipe_of_hundreds_of_epochs_is_tried_in_eight_iterations(image_folder, tmp_path, capsys):
    """iBOT ViT-S: 10 of 800 epochs of warm-up; the teacher's temperature warms up over 30."""
    config = str(ROOT / 'configs/eqssl/ibot_vits.py')
    options = {**SMALL, 'data_root': str(image_folder), 'train_cfg.max_epochs': 80, 'param_scheduler.0.warmup': 40}
    for _ in range(2):  # a second trial takes the place of the first
        assert run_training(arguments(tmp_path, config=config, options=options, trial=8)) == 0
    lines = [json.loads(line) for line in (tmp_path / 'work_try' / 'log.jsonl').read_text().splitlines()]
    assert [line['iter'] for line in lines] == [2, 4, 6, 8] and lines[-1]['epoch'] == 80
    rates = [line['lr'] for line in lines]
    assert rates[0] < rates[1] < rates[2] > rates[3], 'half of the run is warm-up'
    assert not list((tmp_path / 'work_try').glob('*.pth'))
    said = capsys.readouterr().out
    per_epoch = len(list(image_folder.rglob('*.*'))) // 4
    assert f'tried 8 of {80 * per_epoch} iterations: ' in said and 'at this rate the whole run takes ' in said


def test_what_cannot_be_tried_is_said(image_folder, tmp_path):
    config = str(ROOT / 'configs/eqssl/ibot_vits.py')
    options = {'data_root': str(image_folder)}
    with pytest.raises(UserError, match='--try 1: at least 2 iterations'):
        run_training(arguments(tmp_path, config=config, options=options, trial=1))
    with pytest.raises(UserError, match='--try begins anew'):
        run_training(arguments(tmp_path, config=config, options=options, trial=4, resume='auto'))
    other = {'param_scheduler': [dict(type='MultiStepLR', milestones=[1])], **options}
    with pytest.raises(UserError, match=r'param_scheduler\[0\] is MultiStepLR'):
        run_training(arguments(tmp_path, config=config, options=other, trial=4))
    with pytest.raises(UserError, match='--try is for pre-training'):
        downstream = str(ROOT / 'configs/downstream/mmseg/upernet_demo_nuclei.py')
        run_training(arguments(tmp_path, config=downstream, options={}, trial=4))


def test_durations():
    assert [as_duration(s) for s in (40, 720, 11520, 183600)] == ['40 s', '12 min', '3 h 12 min', '2 days 3 h']
