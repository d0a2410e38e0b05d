"""Requirement 5: downstream runs in one table."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.conftest import ROOT


def work_dir(folder, *lines, time='20260101_000000'):
    log = folder / time / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text('\n'.join(json.dumps(line) for line in lines) + '\n')


def validation(step, value):
    return {'mIoU': value, 'aAcc': 80.0, 'data_time': 0.1, 'time': 0.2, 'step': step}


def table(*words, cwd):
    command = [sys.executable, str(ROOT / 'tools/analysis/compare.py'), *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_table_of_seeds_with_mean_and_spread(tmp_path):
    train = {'lr': 0.1, 'loss': 2.0, 'step': 10}
    work_dir(tmp_path / 'base_0', train, validation(10, 31.0), validation(20, 30.0))
    work_dir(tmp_path / 'base_1', train, validation(20, 32.0))
    work_dir(tmp_path / 'ours_0', train, validation(10, 20.0))
    work_dir(tmp_path / 'ours_0', validation(20, 35.0), time='20260102_000000')  # resumed
    done = table('base=base_*', 'ours=ours_0', '--measures', 'mIoU', '--json', 'out.json', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / 'out.json').read_text())
    assert rows[0] == {'': 'base', 'runs': 2, 'mIoU': '31.000 +- 1.414'}
    assert rows[1] == {'': 'ours', 'runs': 1, 'mIoU': '35.000'}
    best = table('base=base_0', '--best', '--json', 'best.json', cwd=tmp_path)
    assert best.returncode == 0
    assert json.loads((tmp_path / 'best.json').read_text()) == [
        {'': 'base', 'runs': 1, 'mIoU': '31.000', 'aAcc': '80.000'}
    ]


def test_a_run_that_began_anew_or_was_killed_counts_from_its_own_start(tmp_path):
    train = {'lr': 0.1, 'loss': 2.0, 'step': 10}
    work_dir(tmp_path / 'lr=0.1', train, validation(40, 90.0))
    work_dir(tmp_path / 'lr=0.1', train, validation(20, 30.0), time='20260103_000000')
    with open(next((tmp_path / 'lr=0.1').glob('20260103*/vis_data/scalars.json')), 'a') as log:
        log.write('{"mIoU": 9')
    work_dir(tmp_path / 'other', {**validation(20, 10.0), 'mAcc': 5.0})
    done = table('a=lr=0.1', 'b=other', '--json', 'out.json', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / 'out.json').read_text())
    assert [row['mIoU'] for row in rows] == ['30.000', '10.000'] and 'mAcc' not in rows[1]


def test_absolute_patterns_and_runs_of_different_length(tmp_path):
    work_dir(tmp_path / 'a_0', validation(20, 30.0))
    work_dir(tmp_path / 'a_1', validation(20, 32.0))
    work_dir(tmp_path / 'b', validation(10, 40.0))
    done = table(f'a={tmp_path}/a_*', cwd='/')
    assert done.returncode == 0 and '31.000 +- 1.414' in done.stdout
    done = table('a=a_*', 'b=b', cwd=tmp_path)
    assert done.returncode == 2 and 'the runs ended at different steps (10, 20)' in done.stderr
    assert table('a=a_*', 'b=b', '--best', cwd=tmp_path).returncode == 0
    work_dir(tmp_path / 'none', {'data_time': 0.1, 'time': 0.2, 'step': 20})
    done = table('a=a_0', 'none=none', cwd=tmp_path)
    assert done.returncode == 2 and 'measured nothing' in done.stderr


def test_the_best_of_an_error_is_the_lowest(tmp_path):
    from eqssl.experiment import make_table, read_groups

    work_dir(tmp_path, {'rmse': 0.3, 'mIoU': 1.0, 'step': 20}, {'rmse': 0.5, 'mIoU': 2.0, 'step': 40})
    groups = read_groups([str(tmp_path)])

    def row(*keys, best):
        (found,) = make_table(groups, keys, best=best)
        return [found[key] for key in keys]

    assert row('rmse', 'mIoU', best=True) == ['0.300', '1.000']
    assert row('mIoU', 'rmse', best=True) == ['2.000', '0.500']
    assert row('rmse', best=False) == ['0.500']


def test_errors_name_the_folder(tmp_path):
    (tmp_path / 'empty').mkdir()
    work_dir(tmp_path / 'young', {'lr': 0.1, 'loss': 2.0, 'step': 10})
    work_dir(tmp_path / 'done', validation(10, 31.0))
    work_dir(tmp_path / 'other', {'coco/bbox_mAP': 0.4, 'step': 10})
    work_dir(tmp_path / 'strange', 5)
    for words, message in (
        (['a=empty'], "'empty' holds no log"),
        (['a=none'], "'none' is no folder and no JSON file"),
        (['a=done', 'typo'], "'typo' is no folder"),
        (['a=young'], "'young' has no validation"),
        (['a=done', '--measures', 'mAP'], "'done' has no mAP; it has mIoU, aAcc"),
        (['a=done', 'b=d*'], "'done' is named twice"),
        (['a='], "'' is no folder"),
        (['a=**done'], "'**done' is no "),
        (['a=done', 'b=other'], 'no measure in common'),
        (['a=strange'], "'strange' has no validation"),
        (['a=done', '--json', '/sys/x.json'], "'/sys/x.json' cannot be written"),
    ):
        failed = table(*words, cwd=tmp_path)
        assert failed.returncode == 2 and message in failed.stderr, failed.stderr
