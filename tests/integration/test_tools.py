"""Tools through their functions: training with evaluation, evaluate, profile, own folders of images, bf16."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest
import torch

from eqssl.apps.evaluate import evaluate_checkpoint
from eqssl.apps.train import run_training
from eqssl.utils.errors import UserError
from tests.conftest import ROOT, write_images

pytestmark = pytest.mark.integration
DEMO = str(ROOT / 'configs/demo/ibot_recon_objects.py')
SHORT = {
    'train_cfg.max_iters': 4, 'param_scheduler.0.warmup': 1, 'train_dataloader.batch_size': 8,
    'default_hooks.logger.interval': 1, 'default_hooks.evaluation': None, 'evaluation.limits': dict(train=60, test=30),
    'evaluation.tasks.equivariance.epochs': 2,
}  # fmt: skip


def train(work_dir, config=DEMO, amp=False, **options):
    arguments = argparse.Namespace(
        config=config, work_dir=str(work_dir), resume=None, amp=amp, auto_scale_lr=False,
        cfg_options={**SHORT, **options}, launcher='none', check=None, debug=True, trial=None,
    )  # fmt: skip
    assert run_training(arguments) == 0
    lines = (work_dir / 'log.jsonl').read_text().splitlines()
    return [json.loads(line)['loss'] for line in lines]


def test_evaluation_during_training_changes_nothing_and_the_tools_read_the_checkpoint(tmp_path):
    plain = train(tmp_path / 'plain', **{'model.backbone.drop_path_rate': 0.3})
    hook = dict(_delete_=True, type='eqssl.EvaluationHook', interval=2, by_epoch=False)
    watched = train(tmp_path / 'watched', **{'default_hooks.evaluation': hook, 'model.backbone.drop_path_rate': 0.3})
    assert plain == watched
    lines = [json.loads(x) for x in (tmp_path / 'watched' / 'evaluation.jsonl').read_text().splitlines()]
    assert [x['iter'] for x in lines] == [2, 4] and 0 <= lines[0]['knn_top1'] <= 1

    checkpoint = str(tmp_path / 'plain' / 'iter_4.pth')
    results = evaluate_checkpoint(DEMO, checkpoint, dict(SHORT), controls=True).results
    assert list(results) == ['raw pixels', 'random init', 'trained']
    for key in ('knn_top1', 'r2/rotation/all/mlp', 'r2_global/rotation/all/mlp', 'r2/mean/all/mlp'):
        assert all(key in result for result in results.values()), key
    assert results['trained']['knn_top1'] == pytest.approx(lines[1]['knn_top1'])
    parts = {**SHORT, 'evaluation.tasks.equivariance.parts': ['all', 'inv', 'equi'],
             'evaluation.tasks.equivariance.probes': ['ridge']}  # fmt: skip
    split = evaluate_checkpoint(DEMO, checkpoint, parts, ['equivariance']).results['trained']
    assert {'r2/color/inv/ridge', 'r2/color/equi/ridge', 'r2/mean/equi/ridge'} <= set(split)
    with pytest.raises(UserError, match="--tasks knnn: .*did you mean 'knn'"):
        evaluate_checkpoint(DEMO, checkpoint, dict(SHORT), ['knnn'])
    with pytest.raises(UserError, match='does not fit model'):
        evaluate_checkpoint(str(ROOT / 'configs/demo/ibot_objects.py'), checkpoint, dict(SHORT))


def test_own_folder_of_unlabelled_images_trains_and_evaluates(image_folder, tmp_path):
    source = dict(_delete_=True, type='eqssl.ImageFolder')
    options = {'train_dataloader.dataset.source': source, 'data_root': str(image_folder)}
    losses = train(tmp_path / 'own', **options)
    assert len(losses) == 4 and all(x == x for x in losses)
    options = {**SHORT, **options, 'evaluation': None}
    result = evaluate_checkpoint(DEMO, str(tmp_path / 'own' / 'iter_4.pth'), options).results['trained']
    assert 'knn_top1' not in result and 'r2/rotation/equi/ridge' in result


def test_amp_flag_trains_in_bfloat16(tmp_path):
    full, half = train(tmp_path / 'full'), train(tmp_path / 'half', amp=True)
    assert full != half and half == pytest.approx(full, rel=0.02)


def test_profile_writes_its_table_as_json(tmp_path, monkeypatch, capsys):
    import runpy

    target = tmp_path / 'profile.json'
    monkeypatch.setattr('sys.argv', ['profile_step.py', DEMO, '--json', str(target)])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / 'tools/analysis/profile_step.py'), run_name='__main__')
    assert stop.value.code == 0
    report = json.loads(target.read_text())
    assert report['step']['host_reads'] == 0 and report['step']['backbone_calls'] == 2
    assert 'extra FLOPs over the base' in capsys.readouterr().out


def test_demo_pictures_and_report(tmp_path, registered):
    from eqssl.apps.demo import draw_views, in_plain_colors
    from eqssl.apps.open_config import open_config
    from eqssl.registry import DATASETS, MODELS
    from eqssl.visualization import Report

    cfg = open_config(DEMO)
    plain = DATASETS.build(in_plain_colors(cfg.train_dataloader.dataset))
    assert all((plain[(i, i)]['groups']['global']['photo'] == [1, 1, 1, 0, 0, 0, 0]).all() for i in range(8))
    torch.manual_seed(0)
    report = Report('x')
    draw_views(report, cfg, MODELS.build(cfg.model).eval(), columns=3)
    text = report.write(tmp_path / 'report.html').read_text()
    assert text.count('data:image/png') == 7 + 2
    assert 'target u1 (1/3 of the way)' in text and 'reconstruction of u2' in text


def test_saliency_of_a_supervised_network_guides_crops(tmp_path, registered):
    from eqssl.apps.saliency import measure_saliency

    config = tmp_path / 'supervised.py'
    config.write_text(f"""_base_ = ['{ROOT}/configs/demo/simclr_photos.py']
data_root = '{write_images(tmp_path / 'images' / 'a', 12) and write_images(tmp_path / 'images' / 'b', 12).parent}'
model = dict(head=dict(_delete_=True, type='eqssl.SupervisedHead', num_classes=2))
train_dataloader = dict(dataset=dict(source=dict(_delete_=True, type='eqssl.ImageFolder', with_label=True)))
""")
    train(tmp_path / 'w', str(config))
    maps = measure_saliency(str(config), str(tmp_path / 'w' / 'iter_4.pth'), dict(SHORT), batch=10)
    assert maps.shape == (24, 16, 16) and maps.dtype == np.uint8 and maps.std() > 0
    np.save(tmp_path / 'maps.npy', maps)
    salient = {'train_dataloader.dataset.saliency': str(tmp_path / 'maps.npy')}
    train(tmp_path / 'salient', str(config), **salient, **{'train_dataloader.dataset.views.salient': 0.5})
    with pytest.raises(UserError, match='trains SimCLRHead; saliency needs an eqssl.SupervisedHead'):
        measure_saliency(str(ROOT / 'configs/demo/simclr_photos.py'), str(tmp_path / 'w' / 'iter_4.pth'))


def test_the_whole_demo_in_small(tmp_path, monkeypatch, registered):
    from eqssl.apps.demo import Demo, run_demo
    from eqssl.experiment import read_experiments
    from eqssl.utils.json_lines import read_lines

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('eqssl.apps.demo.STORED', tmp_path / 'stored.json')
    limits = {'train': 60, 'test': 30}
    options = [f'evaluation.limits.{k}={v}' for k, v in limits.items()]
    options += [f'default_hooks.evaluation.limits.{k}={v}' for k, v in limits.items()]
    options += ['train_cfg.max_iters=4', 'param_scheduler.0.warmup=1', 'train_dataloader.batch_size=8']
    options += ['default_hooks.evaluation.interval=2', 'evaluation.tasks.equivariance.epochs=2']
    report, rows = run_demo(Demo('simclr', 'photos', 0, tuple(options)), train_base=False, store=True)
    folder = report.parent.resolve()
    assert folder == tmp_path.resolve() / 'work_dirs/demo/simclr_recon_photos_seed0'
    assert report.read_text().count('data:image/png') == 2 + 7 + 2
    assert (folder / 'curves.png').is_file() and (folder / 'reconstructions.png').is_file()
    names = ['raw pixels', 'random init', 'SimCLR alone', 'SimCLR + recon', 'SimCLR + recon - SimCLR alone']
    assert [row[''] for row in rows] == names and list(rows[0])[2:4] == ['kNN top-1', 'R2 rotation']
    base, ours = (read_experiments(folder.with_name(f'simclr_{name}photos_seed0'))[0] for name in ('', 'recon_'))
    for run in (base.values, ours.values):
        assert 0 < run['r2_error/color/all/mlp'] < 9 and run['iter'] == 4 and run['minutes'] > 0
    curve = read_lines(folder / 'evaluation.jsonl')
    assert [line['iter'] for line in curve] == [0, 2, 4] and 'r2/mean/all/ridge' in curve[0]
    (stored,) = read_experiments(tmp_path / 'stored.json')
    assert (stored.name, stored.seed, stored.kind) == ('simclr_photos', 0, 'pre-training')
    assert stored.values['knn_top1'] == round(base.values['knn_top1'], 4)
    assert [line['iter'] for line in stored.curve] == [0, 2, 4]


def test_the_demo_names_the_data_that_a_method_has():
    from eqssl.apps.demo import Demo

    with pytest.raises(UserError, match='--data objects: SimCLR has no config .*; it has cifar10, photos'):
        Demo('simclr', 'objects', 0).config(base=True)


def test_a_stored_result_is_of_the_config_as_it_is(tmp_path, monkeypatch, capsys):
    from eqssl.apps.demo import STORED, Demo, stored_base
    from eqssl.experiment import OWN, Experiment, read_experiments, write

    committed = {e.seed: e for e in read_experiments(STORED) if e.name == 'simclr_photos'}
    assert sorted(committed) == [0, 1, 2]
    demo = Demo('simclr', 'photos', 0)
    assert stored_base(demo) == committed[0], 'measure the base of the demo anew (--train-base --store-base)'
    mark = demo.comparison.mark(demo.config(base=True), 0)
    entry = Experiment('simclr_photos', config={'fingerprint': mark}, seed=0, results={OWN: {'knn_top1': 0.5}})
    file = tmp_path / 'stored.json'
    monkeypatch.setattr('eqssl.apps.demo.STORED', file)
    assert stored_base(demo) is None
    write(file, [entry])
    assert stored_base(demo) == entry
    assert stored_base(Demo('simclr', 'photos', 1)) is None and stored_base(Demo('simclr', 'cifar10', 0)) is None
    assert stored_base(Demo('simclr', 'photos', 0, ('train_cfg.max_iters=9',))) is None
    entry.config['fingerprint'] = 'other'
    write(file, [entry])
    assert stored_base(demo) is None and 'is of another config: it is trained' in capsys.readouterr().out


def test_a_training_whose_crops_the_device_cuts_is_the_same(tmp_path, monkeypatch):
    monkeypatch.setitem(SHORT, 'optim_wrapper.precision', 'fp32')
    config = str(ROOT / 'configs/demo/simclr_photos.py')
    worker, device = (
        train(tmp_path / cut, config, **{'train_dataloader.dataset.cut': cut}) for cut in ('worker', 'device')
    )
    assert worker == pytest.approx(device, abs=2e-2) and len(worker) == 4


def test_channels_last_changes_no_result_for_the_same_weights(registered):
    from eqssl.apps.open_config import open_config
    from eqssl.datasets import collate_views
    from eqssl.registry import DATASETS, MODELS

    cfg = open_config(str(ROOT / 'configs/demo/simclr_recon_photos.py'))
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    batch = collate_views([dataset[(i, i)] for i in range(8)])
    torch.manual_seed(0)
    models = [MODELS.build({**cfg.model, 'channels_last': last}) for last in (False, True)]
    models[1].load_state_dict(models[0].state_dict())
    losses = [model.loss(model.data_preprocessor(batch, True)['views']) for model in models]
    for name in losses[0]:
        assert float(losses[1][name]) == pytest.approx(float(losses[0][name]), rel=1e-3), name
    weight = models[1].backbone.conv1.weight
    assert weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()
