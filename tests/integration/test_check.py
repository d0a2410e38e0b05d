"""``--check`` knows what the first seconds of a run would: nothing that does not build passes it."""

from __future__ import annotations

import pytest

from eqssl.apps.train import run_training
from eqssl.utils.errors import UserError
from tests.conftest import ROOT
from tests.integration.runs import train
from tests.integration.test_bad_input import arguments

pytestmark = pytest.mark.integration
CASES = {
    'no learning rate': ({'optim_wrapper.optimizer': dict(_delete_=True, type='AdamW')}, 'optimizer.lr is missing'),
    'precision': ({'optim_wrapper.precision': 'fp8'}, "precision='fp8' is none of"),
    'clipping': ({'optim_wrapper.clip_grad': dict(_delete_=True, norm=3)}, 'clip_grad.norm is unknown'),
    'layer decay': ({'optim_wrapper.paramwise_cfg': dict(layer_decay=3)}, 'layer_decay=3 is not in'),
    'betas': ({'optim_wrapper.optimizer.betas': 5}, 'does not build: AdamW'),
    'warm-up': ({'param_scheduler.0.warmup': 9}, 'param_scheduler: warmup=9 is not shorter'),
    'two lengths': ({'train_cfg.max_epochs': 3}, 'exactly one of max_epochs and max_iters'),
    'no length': ({'train_cfg.max_iters': -3}, 'a run of -3 iterations'),
    'hook': ({'default_hooks.checkpoint.interval': 0}, 'default_hooks.checkpoint: interval=0'),
    'share': ({'default_hooks.unreadable.max_share': 3}, 'max_share=3 is not in'),
    'batch norm': ({'sync_bn': 'mm'}, "sync_bn='mm' is not supported"),
    'workers': ({'train_dataloader.num_workers': -1}, 'num_workers=-1 at least 0'),
    'weights': ({'load_from': '/nope.pth'}, "checkpoint '/nope.pth' does not exist"),
    'word for a number': ({'train_dataloader.batch_size': 'abc'}, 'does not build: '),
    'word for a size': ({'train_dataloader.dataset.views.views.0.size': 'abc'}, 'does not build: '),
}


@pytest.mark.parametrize('case', CASES, ids=lambda c: c.replace(' ', '_'))
def test_what_does_not_build_is_told_in_one_line(case, tiny_config, tmp_path):
    options, message = CASES[case]
    with pytest.raises(UserError, match=message):
        run_training(arguments(tmp_path, config=tiny_config, options=options, check=1))


def test_what_cannot_be_continued_is_told_before_the_launch(tiny_config, tmp_path):
    train(tiny_config, tmp_path / 'work')
    for options, ranks, message in (
        ({'randomness.seed': 5}, 1, 'has seed 0, now 5'),
        ({}, 2, 'was trained with 4 images per iteration, now 8'),
        ({'train_cfg.max_iters': 2}, 1, 'has 4 iterations, more than the 2'),
        ({'model.head.out_dim': 512}, 1, 'does not fit model'),
    ):
        with pytest.raises(UserError, match=message):
            run_training(arguments(tmp_path, config=tiny_config, options=options, check=ranks, resume='auto'))
    gone = {'checkpoint': '/nowhere/backbone.pth'}  # where the run began; a continued run needs it no more
    assert run_training(arguments(tmp_path, config=tiny_config, options=gone, check=1, resume='auto')) == 0
    with pytest.raises(UserError, match="'/nope.pth' does not exist"):
        run_training(arguments(tmp_path / 'new', config=tiny_config, check=1, resume='/nope.pth'))


def test_a_config_on_the_demos_base_trains_without_its_evaluation(image_folder, tmp_path):
    """The demo's wish to be measured is the demo's, not its configs'."""
    config = tmp_path / 'mine.py'
    config.write_text(f"""
_base_ = ['{ROOT}/configs/demo/ibot_objects.py']
data_root = '{image_folder}'
train_dataloader = dict(batch_size=4, dataset=dict(source=dict(_delete_=True, type='eqssl.ImageFolder')))
train_cfg = dict(max_iters=1)
param_scheduler = [dict(type='eqssl.CosineSchedule', param_name='lr', by_epoch=False)]
evaluation = None
""")
    assert run_training(arguments(tmp_path, config=str(config), options={})) == 0
    assert not (tmp_path / 'work' / 'evaluation.jsonl').exists()
