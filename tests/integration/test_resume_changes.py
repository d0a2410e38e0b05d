"""A resume follows the config: schedules and rates, one line for every key that changed; never another run's files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from eqssl.apps.train import run_training
from eqssl.checkpoint.store import hash_file_of
from eqssl.utils.errors import UserError
from tests.conftest import ROOT, write_images
from tests.integration.runs import cut_to, log, train
from tests.integration.test_bad_input import arguments

pytestmark = pytest.mark.integration


def said(work_dir):
    """What the resumed run logged (newest log file)."""
    return max(work_dir.glob('*/*.log')).read_text()


def rates(lines):
    return [(line['lr'], line['weight_decay']) for line in lines]


def test_an_extended_run_follows_the_longer_schedule(tiny_config, tmp_path):
    long = train(tiny_config, tmp_path / 'long', train_cfg__max_iters=8)
    train(tiny_config, tmp_path / 'short')
    extended = train(tiny_config, tmp_path / 'short', 'auto', train_cfg__max_iters=8)
    assert rates(extended[4:]) == rates(long[4:]) and rates(extended[:4]) != rates(long[:4])
    assert [line['iter'] for line in extended] == list(range(1, 9))


def test_changed_rates_and_decay_take_effect_and_are_named(tiny_config, tmp_path):
    train(tiny_config, tmp_path / 'w')
    cut_to(tmp_path / 'w', 2)
    changed = {'optim_wrapper__optimizer__lr': 0.004, 'optim_wrapper__optimizer__weight_decay': 0.2}
    lines = train(tiny_config, tmp_path / 'w', 'auto', **changed, model__head__student_temp=0.2)
    whole = train(tiny_config, tmp_path / 'whole', **changed)
    assert rates(lines[2:]) == rates(whole[2:]) and rates(lines[:2]) != rates(whole[:2])
    text = said(tmp_path / 'w')
    for line in (
        'optim_wrapper.optimizer.lr was 0.001, is 0.004: applied from here on',
        'optim_wrapper.optimizer.weight_decay was 0.04, is 0.2: applied',
        'model.head.student_temp was',
    ):
        assert text.count(f'--resume: {line}') == 1, text
    assert text.count('--resume:') == 3


def test_nothing_is_named_where_nothing_changed(tiny_config, tmp_path):
    whole = train(tiny_config, tmp_path / 'whole')
    train(tiny_config, tmp_path / 'w')
    cut_to(tmp_path / 'w', 2)
    resumed = train(tiny_config, tmp_path / 'w', 'auto')
    assert [line['loss'] for line in resumed] == [line['loss'] for line in whole] and rates(resumed) == rates(whole)
    assert '--resume' not in said(tmp_path / 'w')


def test_another_number_of_images_is_said(tiny_config, tmp_path):
    train(tiny_config, tmp_path / 'w')
    cut_to(tmp_path / 'w', 2)
    more = str(write_images(tmp_path / 'more', 20))
    train(tiny_config, tmp_path / 'w', 'auto', data_root=more)
    text = said(tmp_path / 'w')
    assert 'the data has 20 images, 12 when the checkpoint was written: from here on an epoch has 5 iterations' in text
    assert 'train_dataloader.dataset.source.data_root was' in text


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'optim_wrapper__optimizer': dict(_delete_=True, type='SGD', lr=0.1)}, 'optimizer.type was .AdamW'),
        ({'optim_wrapper__paramwise_cfg': dict(decay_norm_bias=True)}, 'optim_wrapper.paramwise_cfg was not set, is'),
        ({'train_cfg__max_iters': 1}, 'has 4 iterations, more than the 1 of train_cfg; lengthen train_cfg'),
        ({'train_dataloader__batch_size': 3}, 'was trained with 4 images per iteration, now 3'),
        ({'randomness__seed': 5}, 'has seed 0, now 5'),
        ({'param_scheduler': [dict(type='LinearLR', by_epoch=False, end=4)]}, 'param_scheduler was .*set it back'),
    ],
)  # fmt: skip
def test_what_cannot_take_effect_is_refused_and_nothing_is_lost(tiny_config, tmp_path, options, message):
    before = train(tiny_config, tmp_path / 'w')
    with pytest.raises(UserError, match=message):
        train(tiny_config, tmp_path / 'w', 'auto', **options)
    assert log(tmp_path / 'w') == before and len(list((tmp_path / 'w').glob('iter_*.pth'))) == 4


def test_a_used_work_dir_is_refused_and_stays_as_it_is(tiny_config, tmp_path):
    train(tiny_config, tmp_path / 'w')
    before = {p: p.read_bytes() for p in (tmp_path / 'w').iterdir() if p.is_file()}
    for check in (None, 1):
        with pytest.raises(UserError, match='holds a run already .iter_4.pth'):
            run_training(arguments(tmp_path, config=tiny_config, work_dir=str(tmp_path / 'w'), check=check))
    assert {p: p.read_bytes() for p in (tmp_path / 'w').iterdir() if p.is_file()} == before


def test_checkpoints_without_their_hashes_are_judged_by_their_own_checksums(tiny_config, tmp_path):
    train(tiny_config, tmp_path / 'w')
    for side in (tmp_path / 'w').glob('*.sha256'):
        side.unlink()
    newest = tmp_path / 'w' / 'iter_4.pth'
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    lines = train(tiny_config, tmp_path / 'w', 'auto', train_cfg__max_iters=5)
    assert 'iter_4.pth is passed over: it is damaged (archive/' in said(tmp_path / 'w')
    assert [line['iter'] for line in lines] == [1, 2, 3, 4, 5]
    for path in (tmp_path / 'w').glob('iter_*.pth'):
        hash_file_of(path).unlink(missing_ok=True)
        path.write_bytes(b'torn')
    with pytest.raises(UserError, match='none of the 5 checkpoints in .* is valid .*iter_5.pth is passed over'):
        train(tiny_config, tmp_path / 'w', 'auto')
    assert log(tmp_path / 'w') == lines


def test_going_back_does_not_mix_with_later_checkpoints(tiny_config, tmp_path):
    train(tiny_config, tmp_path / 'w')
    early = tmp_path / 'w' / 'iter_2.pth'
    with pytest.raises(UserError, match='holds later checkpoints .iter_4.pth.; choose another --work-dir'):
        train(tiny_config, tmp_path / 'w', str(early))
    lines = train(tiny_config, tmp_path / 'other', str(early))
    assert [line['iter'] for line in lines] == [3, 4]
    assert [line['loss'] for line in lines] == [line['loss'] for line in log(tmp_path / 'w')[2:]]


def test_a_run_of_another_place_is_continued_in_an_unused_work_dir_only(tiny_config, tmp_path):
    a, b = train(tiny_config, tmp_path / 'a'), train(tiny_config, tmp_path / 'b', optim_wrapper__optimizer__lr=0.01)
    cut_to(tmp_path / 'b', 2)
    for check in (None, 1):
        with pytest.raises(UserError, match='holds a run already .iter_2.pth'):
            run_training(
                arguments(tmp_path, config=tiny_config, work_dir=str(tmp_path / 'b'), check=check,
                          resume=str(tmp_path / 'a' / 'iter_3.pth'))
            )  # fmt: skip
    assert log(tmp_path / 'b') == b != a


def test_resume_goes_on_with_the_work_dir_also_where_the_run_began_from_weights(tiny_config, tmp_path):
    train(tiny_config, tmp_path / 'a')
    begun = {'load_from': str(tmp_path / 'a' / 'iter_4.pth')}
    first = train(tiny_config, tmp_path / 'b', 'auto', train_cfg__max_iters=2, **begun)  # a job's first start
    lines = train(tiny_config, tmp_path / 'b', 'auto', train_cfg__max_iters=4, **begun)
    assert [line['iter'] for line in lines] == [1, 2, 3, 4] and lines[:2] == first
    assert 'no checkpoint in' in min((tmp_path / 'b').glob('*/*.log')).read_text()


def test_a_refused_resume_leaves_the_stored_config(tiny_config, tmp_path):
    train(tiny_config, tmp_path / 'w')
    before = (tmp_path / 'w' / 'tiny.py').read_text()
    with pytest.raises(UserError, match='has seed 0, now 5'):
        train(tiny_config, tmp_path / 'w', 'auto', randomness__seed=5)
    assert (tmp_path / 'w' / 'tiny.py').read_text() == before


def test_the_state_of_another_optimizer_is_refused_whatever_the_stored_config(tiny_config, tmp_path):
    clip = {'optim_wrapper__clip_grad': dict(max_norm=float('inf'))}  # no plain data: the config cannot be compared
    train(tiny_config, tmp_path / 'w', **clip)
    for change in (
        {'optim_wrapper__optimizer': dict(_delete_=True, type='SGD', lr=0.1, momentum=0.9)},
        {'optim_wrapper__optimizer__amsgrad': True},
    ):
        with pytest.raises(UserError, match='of another kind|amsgrad=True needs a state'):
            train(tiny_config, tmp_path / 'w', 'auto', train_cfg__max_iters=6, **clip, **change)
    assert len(train(tiny_config, tmp_path / 'w', 'auto', train_cfg__max_iters=6, **clip)) == 6


def test_two_runs_at_once_in_one_work_dir(tiny_config, tmp_path):
    from eqssl.engine.work_dir import claimed

    command = [sys.executable, 'tools/train.py', tiny_config, '--work-dir', str(tmp_path), '--resume']
    with claimed(str(tmp_path), False):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and 'is in use by process' in done.stderr and 'Traceback' not in done.stderr


def backbone_file(folder):
    """What tools/export.py writes, without training: an ImageNet-like name, one number for all weights of attention."""
    from eqssl.registry import MODELS

    torch.manual_seed(5)
    arch = dict(embed_dims=128, num_layers=4, num_heads=4, feedforward_channels=512)
    vit = MODELS.build(dict(type='eqssl.VisionTransformer', arch=arch, img_size=32, patch_size=8))
    vit.init_weights()
    torch.save({'teacher': {f'backbone.{k}': v for k, v in vit.state_dict().items()}}, folder / 'backbone.pth')
    return vit.state_dict(), str(folder / 'backbone.pth')


@pytest.mark.parametrize('how', ['checkpoint', 'init_cfg'])
def test_a_warm_start_begins_student_and_teacher_at_the_file(tiny_config, tmp_path, registered, how):
    want, file = backbone_file(tmp_path)
    init = dict(type='eqssl.PretrainedBackbone', checkpoint=file)
    options = {'checkpoint': file} if how == 'checkpoint' else {'model__backbone__init_cfg': init}
    still = {'param_scheduler__0__warmup': 0, 'optim_wrapper__optimizer__lr': 1e-9}
    train(tiny_config, tmp_path / 'w', train_cfg__max_iters=1, **still, **options)
    state = torch.load(tmp_path / 'w' / 'iter_1.pth', weights_only=True)['state_dict']
    for name, value in want.items():
        for part in ('backbone.', 'teacher.backbone.'):
            torch.testing.assert_close(state[part + name], value, rtol=0, atol=1e-6)
    Path(file).unlink()
    train(tiny_config, tmp_path / 'w', 'auto', train_cfg__max_iters=2, **options)  # needs the file no more


def test_a_warm_start_loads_all_or_is_refused_also_by_check(tiny_config, tmp_path, registered):
    want, file = backbone_file(tmp_path)
    torch.save({k: v for k, v in want.items() if 'layers.2' not in k}, tmp_path / 'part.pth')
    arch = dict(embed_dims=128, num_layers=3, num_heads=4, feedforward_channels=512)
    part = dict(type='eqssl.PretrainedBackbone', checkpoint=str(tmp_path / 'part.pth'))
    cases = (
        ({'checkpoint': str(tmp_path / 'part.pth')}, 'fills only'),
        ({'checkpoint': str(tmp_path / 'none.pth')}, 'does not exist'),
        ({'checkpoint': file, 'model.backbone.arch': arch}, 'no place for'),
        (
            {'model.backbone.init_cfg': dict(type='Pretrained', checkpoint=file)},
            "backbone.init_cfg: mmengine's",
        ),
        (
            {'model.init_cfg': dict(type='Pretrained', checkpoint=file)},
            "model.init_cfg: mmengine's",
        ),
        ({'model.init_cfg': part}, 'model.init_cfg: PretrainedBackbone initializes the backbone|move it to'),
        ({'load_from': file}, 'to begin from a backbone alone: --cfg-options checkpoint=FILE'),
    )
    for options, message in cases:
        for check in (1, None):
            with pytest.raises(UserError, match=message):
                run_training(arguments(tmp_path, config=tiny_config, options=options, check=check))
    assert not list(tmp_path.glob('work/iter_*'))


def test_the_record_tells_of_what_was_continued_and_of_nothing_that_was_refused(tiny_config, tmp_path):
    def header():
        return json.loads((tmp_path / 'w' / 'experiment.json').read_text())['experiment']

    train(tiny_config, tmp_path / 'w', train_cfg__max_iters=2)
    first = header()
    assert first['batch'] == 4 and 'resumed' not in first and first['kind'] == 'pre-training'
    with pytest.raises(UserError, match='images per iteration'):
        train(tiny_config, tmp_path / 'w', 'auto', train_cfg__max_iters=4, train_dataloader__batch_size=2)
    assert header() == first
    train(tiny_config, tmp_path / 'w', 'auto', train_cfg__max_iters=4)
    (session,) = header()['resumed']
    assert session['config']['fingerprint'] != first['config']['fingerprint'] and session['data'] == first['data']
