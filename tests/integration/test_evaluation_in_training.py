"""Evaluation during training: opened before the first step, and nothing that goes wrong in it costs a checkpoint."""

from __future__ import annotations

import json

import pytest

from eqssl.apps.train import run_training
from eqssl.evaluation import KNN
from eqssl.utils.errors import UserError
from tests.integration.runs import cut_to, log, train
from tests.integration.test_bad_input import arguments

pytestmark = pytest.mark.integration
HOOK = dict(type='eqssl.EvaluationHook', interval=2, by_epoch=False)


def settings(tiny_config, **source):
    folder = dict(type='eqssl.ImageFolder', data_root=tiny_config.replace('tiny.py', 'images'), **source)
    splits = {split: dict(folder, part=split) for split in ('train', 'test')}
    return dict(_delete_=True, **splits, size=32, tasks=dict(collapse=dict(type='eqssl.Collapse')))


def options(tiny_config):
    return {'default_hooks__evaluation': HOOK, 'evaluation': settings(tiny_config)}


def results(work_dir):
    return [json.loads(line)['iter'] for line in (work_dir / 'evaluation.jsonl').read_text().splitlines()]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (None, 'default_hooks.evaluation measures what the config key evaluation says, which is not set'),
        ({'train': dict(type='eqssl.ImageFolder', data_root='/nowhere')}, "evaluation.train: data_root '/nowhere'"),
        ({'tasks': dict(knn=dict(type='eqssl.KNN'))}, 'evaluation task knn needs labels'),
        ({'tasks': dict(x=dict(type='eqssl.KN'))}, "evaluation.tasks.x.type='eqssl.KN' .*'eqssl.KNN'"),
        ({'tasks': dict(l=dict(type='eqssl.LatentRegression', groups={}))}, 'latents needs data with latents'),
        ({'size': 30}, 'evaluation.size=30 is no multiple of model.backbone.patch_size=8; set it to 32'),
        ({'sise': 32}, "'evaluation.sise' is unknown"),
    ],
)
@pytest.mark.parametrize('check', [1, None])
def test_what_is_wrong_with_it_is_said_before_the_first_step(tiny_config, tmp_path, change, message, check):
    evaluation = None if change is None else {**settings(tiny_config), **change}
    given = {'default_hooks.evaluation': HOOK, 'evaluation': evaluation}
    with pytest.raises(UserError, match=message):
        run_training(arguments(tmp_path, config=tiny_config, options=given, check=check))
    assert not (tmp_path / 'work' / 'log.jsonl').exists()


def test_its_failure_costs_no_iteration_and_no_checkpoint_and_ends_with_an_error(tiny_config, tmp_path, monkeypatch):
    plain = train(tiny_config, tmp_path / 'plain')
    source = dict(with_label=False)
    given = {
        **options(tiny_config),
        'evaluation': {**settings(tiny_config, **source), 'tasks': dict(knn=dict(type='eqssl.KNN'))},
    }
    monkeypatch.setattr(KNN, 'check', lambda self, sources: None)  # what no check foresees
    with pytest.raises(UserError, match='complete and saved, but its last evaluation failed .*knn needs labels'):
        train(tiny_config, tmp_path / 'w', **given)
    assert (tmp_path / 'w' / 'iter_4.pth').is_file()
    assert [line['loss'] for line in log(tmp_path / 'w')] == [line['loss'] for line in plain]


def test_an_evaluation_that_was_due_is_made_up_for_after_a_resume(tiny_config, tmp_path):
    train(tiny_config, tmp_path / 'w', **options(tiny_config))
    assert results(tmp_path / 'w') == [2, 4]
    file = tmp_path / 'w' / 'evaluation.jsonl'
    first, last = file.read_text().splitlines()
    file.write_text(first + '\n')  # killed between checkpoint and evaluation
    train(tiny_config, tmp_path / 'w', 'auto', **options(tiny_config))
    assert results(tmp_path / 'w') == [2, 4] and json.loads(file.read_text().splitlines()[1]) == json.loads(last)
    cut_to(tmp_path / 'w', 2)
    train(tiny_config, tmp_path / 'w', 'auto', **options(tiny_config))
    assert results(tmp_path / 'w') == [2, 4] and json.loads(file.read_text().splitlines()[1]) == json.loads(last)


def test_a_sample_of_the_images_and_the_untrained_network_for_curves(tiny_config, tmp_path):
    plain = train(tiny_config, tmp_path / 'plain')
    work_dir = tmp_path / 'w'

    def given(limits):
        hook = dict(HOOK, at_start=True, limits=limits)
        return {'default_hooks__evaluation': hook, 'evaluation': settings(tiny_config)}

    sample = dict(train=3, test=1)
    watched = train(tiny_config, work_dir, **given(sample))
    assert results(work_dir) == [0, 2, 4] and [x['loss'] for x in watched] == [x['loss'] for x in plain]
    cut_to(work_dir, 2)
    train(tiny_config, work_dir, 'auto', **given(sample))
    assert results(work_dir) == [0, 2, 4]
    train(tiny_config, tmp_path / 'all', **given(None))
    of_sample, of_all = (
        json.loads((folder / 'evaluation.jsonl').read_text().splitlines()[0]) for folder in (work_dir, tmp_path / 'all')
    )
    assert of_sample['feature_std'] != of_all['feature_std']
