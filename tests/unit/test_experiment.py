"""The record of a run: what is written is read, whoever wrote it; tables, gains, intervals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eqssl.experiment import (
    OWN,
    Experiment,
    begin,
    fingerprint,
    finish,
    heading,
    main_keys,
    make_table,
    read_experiments,
    read_groups,
    write,
)
from eqssl.experiment.record import describe_data, hardware, now, versions
from eqssl.utils.errors import UserError
from eqssl.utils.json_lines import append_line

SHORT = {'knn_top1': 0.5, 'knn_error': 0.01, 'r2/mean/all/mlp': 0.6, 'r2_error/mean/all/mlp': 0.02, 'iter': 4}


def experiment(seed=0, **values):
    header = dict(config={'file': 'a.py', 'fingerprint': 'f'}, seed=seed, batch=8, versions=versions())
    return Experiment('a', 'pre-training', now(), **header, hardware=hardware(), results={OWN: {**SHORT, **values}})


def test_what_is_written_is_read(tmp_path):
    one = experiment()
    write(tmp_path / 'one.json', one)
    write(tmp_path / 'two.json', [one, experiment(1)])
    assert read_experiments(tmp_path / 'one.json') == [one]
    assert (
        read_experiments(tmp_path / 'two.json') == [one, experiment(1, **{})]
        or len(read_experiments(tmp_path / 'two.json')) == 2
    )
    value = json.loads((tmp_path / 'one.json').read_text())
    assert list(value) == ['experiment', OWN] and value['experiment']['format'] == 1 and 'curve' not in value
    assert set(value['experiment']['versions']) >= {'python', 'eqssl', 'torch', 'onedl-mmengine', 'numpy'}


def test_a_work_dir_tells_what_began_where_it_went_on_and_what_it_cost(tmp_path):
    first = experiment()
    first.results = {}
    begin(tmp_path, first, goes_on=False)
    with pytest.raises(UserError, match='has no validation in its log yet'):
        read_experiments(tmp_path)
    for i in (2, 4):
        append_line(tmp_path / 'log.jsonl', {'iter': i, 'images_per_s': 8 / 60 / i})  # 2 iterations of i minutes each
        append_line(tmp_path / 'evaluation.jsonl', {'knn_top1': i / 10, 'iter': i})
    later = experiment()
    begin(tmp_path, later, goes_on=True)
    (found,) = read_experiments(tmp_path)
    assert [line['iter'] for line in found.curve] == [2, 4] and len(found.resumed) == 1
    assert found.resumed[0]['versions'] == later.versions and found.resumed[0]['config'] == later.config
    assert found.results == {}
    assert found.cost == {'minutes': pytest.approx(2 * 2 + 2 * 4), 'images': 32} and found.values['knn_top1'] == 0.4
    finish(tmp_path, {OWN: {'knn_top1': 0.9, 'iter': 4}}, {'minutes': 1.0})
    (found,) = read_experiments(tmp_path)
    assert found.values == {'knn_top1': 0.9, 'iter': 4, 'minutes': 1.0}
    begin(tmp_path, first, goes_on=False)
    assert 'resumed' not in json.loads((tmp_path / 'experiment.json').read_text())['experiment']


def test_a_record_that_begins_at_a_resume_says_so_and_torn_lines_are_passed_over(tmp_path, capsys):
    first = experiment()
    first.results = {}
    begin(tmp_path, first, goes_on=True)
    append_line(tmp_path / 'log.jsonl', {'iter': 6, 'images_per_s': 0.0})
    append_line(tmp_path / 'evaluation.jsonl', {'knn_top1': 0.1, 'iter': 4})
    for name in ('log.jsonl', 'evaluation.jsonl'):
        with open(tmp_path / name, 'a') as stream:
            stream.write('{"iter"')
    (found,) = read_experiments(tmp_path)
    assert len(found.resumed) == 1 and found.values['knn_top1'] == 0.1
    assert 'the last evaluation is of 4 of 6 iterations' in capsys.readouterr().err
    (tmp_path / 'experiment.json').unlink()
    assert read_experiments(tmp_path)[0].values == {'knn_top1': 0.1, 'iter': 4}, 'a work dir of an earlier version'


def test_runs_of_one_config_with_other_settings_are_not_seeds_of_one_row(tmp_path):
    for name, seed, mark in (('a', 0, 'f'), ('b', 1, 'f'), ('c', 2, 'g')):
        run = experiment(seed)
        run.config = {**run.config, 'fingerprint': mark}
        (tmp_path / name).mkdir()
        write(tmp_path / name / 'experiment.json', run)
    assert list(read_groups([f'{tmp_path}/[ab]'])) == ['a']
    assert list(read_groups([f'{tmp_path}/?'])) == ['a (a)', 'a (b)', 'a (c)']
    assert list(read_groups([f'mine={tmp_path}/?'])) == ['mine']
    (tmp_path / 'b' / 'experiment.json').unlink()
    write(tmp_path / 'b' / 'experiment.json', experiment(0))
    assert list(read_groups([f'{tmp_path}/[ab]'])) == ['a (a)', 'a (b)'], 'one seed twice'
    (tmp_path / 'run[1]').mkdir()
    write(tmp_path / 'run[1]' / 'experiment.json', experiment(0))
    assert list(read_groups([f'{tmp_path}/run[1]'])) == ['a']


def test_the_best_validation_is_found_beside_costs_too():
    run = experiment()
    run.curve, run.cost = [{'iter': 1, 'knn_top1': 0.9}, {'iter': 2, 'knn_top1': 0.5}], {'minutes': 1.0}
    assert make_table({'a': [run]}, best=True)[0]['kNN top-1'] == '0.900'


def test_results_of_earlier_versions_read(tmp_path):
    demo, run, table = tmp_path / 'demo', tmp_path / 'simclr_seed3', tmp_path / 'table.json'
    for folder in (demo, run):
        folder.mkdir()
    names = ['raw pixels', 'SimCLR alone (stored)', 'SimCLR + recon']
    (demo / 'results.json').write_text(json.dumps({name: {'knn_top1': i / 10} for i, name in enumerate(names)}))
    (run / 'run.json').write_text(
        json.dumps({'config': 'abc', 'measures': {'knn_top1': 0.4, 'iter': 9, 'minutes': 2.0}})
    )
    append_line(run / 'evaluation.jsonl', {'iter': 9, 'knn_top1': 0.4})
    table.write_text(json.dumps({'raw pixels': {'knn_top1': 0.3}, 'trained': {'knn_top1': 0.6}}))
    assert [e.name for e in read_experiments(demo)] == ['raw pixels', 'SimCLR alone', 'SimCLR + recon']
    (found,) = read_experiments(run)
    assert (found.name, found.cost, found.curve) == ('simclr', {'minutes': 2.0}, [{'iter': 9, 'knn_top1': 0.4}])
    (found,) = read_experiments(table)
    assert found.values == {'knn_top1': 0.6} and found.controls == {'raw pixels': {'knn_top1': 0.3}}
    rows = make_table(read_groups([str(demo), f'mine={run}']), pairs=[('SimCLR + recon', 'SimCLR alone')])
    assert [row[''] for row in rows] == [
        'raw pixels',
        'SimCLR alone',
        'SimCLR + recon',
        'mine',
        'SimCLR + recon - SimCLR alone',
    ]
    assert rows[-1]['kNN top-1'] == '0.100' and rows[3]['minutes'] == '2.000'


def test_tables_by_hand():
    ours = [experiment(s, knn_top1=0.5 + 0.1 * s) for s in (0, 1, 2)]
    base = [experiment(s, knn_top1=0.4 + 0.05 * s) for s in (0, 1, 2)]
    for run in ours:
        run.results['raw pixels'] = {'knn_top1': 0.3}
    for run in base:
        run.results['raw pixels'] = {'knn_top1': 0.3}
    rows = make_table({'ours': ours, 'base': base}, pairs=[('ours', 'base'), ('ours', 'raw pixels')])
    assert [row['kNN top-1'] for row in rows] == [
        '0.300 +- 0.000', '0.600 +- 0.100', '0.450 +- 0.050', '0.150 +- 0.050', '0.300 +- 0.100',
    ]  # fmt: skip
    assert rows[1]['R2 mean'] == '0.600 +- 0.000' and rows[0]['R2 mean'] is None and 'knn_error' not in rows[0]
    base[1].results['raw pixels'] = {'knn_top1': 0.2}
    names = [row[''] for row in make_table({'ours': ours, 'base': base})]
    assert names == ['raw pixels (ours)', 'raw pixels (base)', 'ours', 'base']
    (row,) = make_table({'ours': [experiment()]}, ['knn_top1', 'r2/mean/all/mlp'], intervals=True)
    assert row == {'': 'ours', 'runs': 1, 'kNN top-1': '0.500 [0.480, 0.520]', 'R2 mean': '0.600 [0.561, 0.639]'}
    for pairs, message in (([('ours', 'x')], 'x is none of'), ([('ours', 'one')], 'ours has 3 runs, one has 1')):
        with pytest.raises(UserError, match=message):
            make_table({'ours': ours, 'one': base[:1]}, pairs=pairs)


def test_headings_and_their_order():
    assert heading('r2/rotation/all/mlp') == 'R2 rotation' and heading('r2/mean/equi/ridge') == 'R2 mean (equi, ridge)'
    assert heading('latent/spin') == 'R2 true spin' and heading('mIoU') == 'mIoU'
    known = ['rankme', 'r2/mean/all/ridge', 'r2/blur/all/mlp', 'r2/shear/all/mlp', 'r2/rotation/all/mlp', 'knn_top1']
    assert main_keys(known) == ['knn_top1', 'r2/rotation/all/mlp', 'r2/blur/all/mlp', 'r2/shear/all/mlp', 'rankme']
    assert main_keys(['r2/mean/all/ridge', 'r2/mean/cls/mlp']) == ['r2/mean/all/ridge']
    assert main_keys(['r2/mean/cls/ridge', 'r2/blur/cls/ridge', 'r2/mean/inv/mlp'])[1:] == ['r2/mean/cls/ridge']


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{', 'is no record'),
        ('[1]', 'is no record'),
        ('{"a": "b"}', 'is no record'),
        ('{"experiment": {"format": 2}}', 'has format 2'),
        ('{"trained": {"knn_top1": "abc"}}', 'is no number'),
    ],
)
def test_what_is_no_record_is_told(tmp_path, text, message):
    file = tmp_path / 'x.json'
    file.write_text(text)
    with pytest.raises(UserError, match=message):
        read_experiments(file)
    (tmp_path / 'experiment.json').write_text(text)
    with pytest.raises(UserError, match='experiment.json|has no validation'):
        read_experiments(tmp_path)


class Source:
    def __init__(self, keys):
        self.keys = keys

    def __len__(self):
        return len(self.keys)

    def key(self, i):
        return self.keys[i]

    def label(self, i):
        return i % 2


def test_fingerprints_tell_data_and_settings_apart_and_not_places():
    found = describe_data(Source([1, 2, 3]), Path('/x'))
    assert found['images'] == 3 and found['root'] == '/x'
    assert found['fingerprint'] == describe_data(Source([1, 2, 3]))['fingerprint']
    assert len({describe_data(Source(k))['fingerprint'] for k in ([1, 2, 3], [1, 3, 2], [1, 2])}) == 3
    assert describe_data(range(7)) == {'images': 7}
    assert fingerprint({'a': 1, 'work_dir': 'x', 'resume': True}) == fingerprint({'a': 1}) != fingerprint({'a': 2})
    assert fingerprint({'randomness': {'seed': 1}}) == fingerprint({'randomness': {'seed': 2}})
