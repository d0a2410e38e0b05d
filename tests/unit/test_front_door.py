"""Config check, environment check, tables, command-line errors, report."""

from __future__ import annotations

import pytest

from eqssl.config.schema import accepted_keys, check_keys, resolve
from eqssl.install import environment as env
from eqssl.utils.errors import UserError, at_key, did_you_mean, run_cli
from eqssl.utils.tables import format_table, write_json
from tests.conftest import ROOT

pytestmark = pytest.mark.usefixtures('registered')


def good() -> dict:
    from mmengine.config import Config

    return Config.fromfile(ROOT / 'configs/eqssl/ibot_recon_vits.py')._cfg_dict


TOP = ['param_schedulers', 'custom_hook', 'randomnes', 'load_form', 'resum', 'auto_scale_ler', 'env_cgf', 'evaluatoin']


@pytest.mark.parametrize('key', TOP)
def test_misspelt_top_level_keys_are_refused_with_a_suggestion(key):
    cfg = good()
    cfg[key] = {}
    with pytest.raises(UserError, match=f"'{key}' is unknown .did you mean"):
        check_keys(cfg)


def every_dict(node, where=()):
    if isinstance(node, dict):
        yield where, node
        for key, value in node.items():
            yield from every_dict(value, (*where, key))
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(node):
            yield from every_dict(value, (*where, i))


def test_an_unknown_key_is_refused_at_every_level_of_a_recipe():
    """A stray key in each dict of the config in turn; free-form dicts (arguments of no class) are few and named."""
    count = len(list(every_dict(good())))
    silent = []
    for number in range(count):
        cfg = good()
        where, node = list(every_dict(cfg))[number]
        node['zzz_unknown'] = 1
        try:
            check_keys(cfg)
        except UserError as error:
            assert 'zzz_unknown' in str(error)
        else:
            silent.append('.'.join(map(str, where)))
    allowed = {'env_cfg.mp_cfg', 'auto_scale_lr', 'optim_wrapper.clip_grad', 'model.auxiliary', 'custom_imports'}
    # the evaluation knows its own keys and refuses others when it is built; names of tasks and paths are free
    allowed |= {f'evaluation{key}' for key in ('', '.limits', '.tasks', '.tasks.equivariance.paths')}
    assert {s for s in silent if not s.startswith('_')} <= allowed, silent
    assert count - len(silent) > 25


def test_types_and_signatures():
    assert resolve('eqssl.IBOTHead', 'x').__name__ == 'IBOTHead'
    with pytest.raises(UserError, match=r"model.head.type='eqssl.IBOTHed' .*did you mean 'eqssl.IBOTHead'"):
        resolve('eqssl.IBOTHed', 'model.head')
    assert 'student_temp' in accepted_keys(resolve('eqssl.IBOTHead', 'x'))
    assert did_you_mean('weigth', ['weight']) == " (did you mean 'weight'?)" and did_you_mean('zzz', ['a']) == ''


def test_environment_check_names_what_is_wrong_and_the_mend(monkeypatch):
    versions = dict.fromkeys(env.CORE, '1') | {'torch': '2.11.0', 'torchvision': '0.25.0', 'mmcv': '2.1'}
    monkeypatch.setattr(env, 'version_of', versions.get)
    found = {f.what: f.mend for f in env.check_environment() if f.level == 'error'}
    assert any('torch 2.11.0 needs torchvision 0.26' in what and 'pip install' in mend for what, mend in found.items())
    assert any('mmcv 2.1 lies over onedl-mmcv' in what and 'pip uninstall -y mmcv' in m for what, m in found.items())
    with pytest.raises(ImportError, match='pip uninstall -y mmcv'):
        env.refuse_shadowed_packages()
    del versions['mmcv'], versions['numpy']
    assert any(f.what == 'numpy is missing' for f in env.check_environment())
    env.refuse_shadowed_packages()


def test_mmcv_ops_are_an_error_only_where_mmdet_needs_them(monkeypatch):
    monkeypatch.setattr(env.importlib, 'import_module', lambda name: (_ for _ in ()).throw(ImportError(name)))
    monkeypatch.setattr(env, 'version_of', {}.get)
    assert env._check_mmcv_ops().level == 'note'
    monkeypatch.setattr(env, 'version_of', {'onedl-mmdetection': '3.5.1'}.get)
    finding = env._check_mmcv_ops()
    assert finding.level == 'error' and 'install-mmcv-ops' in finding.mend


def test_mmpretrain_imports_beside_pycocotools_and_transformers_5(monkeypatch):
    from mmpretrain.utils import dependency

    for versions, kept in (({'transformers': '5.1.0', 'pycocotools': '2'}, False),
                           ({'transformers': '4.57.1', 'pycocotools': '2'}, True),
                           ({'transformers': '5.1.0'}, True)):  # fmt: skip
        monkeypatch.setattr(dependency, 'WITH_MULTIMODAL', True)
        monkeypatch.setattr(env, 'version_of', (versions | {'onedl-mmpretrain': '1.3.6'}).get)
        env.leave_out_multimodal_models()
        assert dependency.WITH_MULTIMODAL is kept, versions


def test_under_slurm_every_rank_has_its_own_device(monkeypatch):
    from eqssl.config.wrapper import distributed_wrapper
    from eqssl.utils import dist

    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_PORT'):
        monkeypatch.setenv(name, '0')
    for name, value in (('PROCID', '7'), ('NTASKS', '8'), ('LOCALID', '3'), ('JOB_ID', '1')):
        monkeypatch.setenv(f'SLURM_{name}', value)
    monkeypatch.setenv('MASTER_ADDR', 'node0')
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    dist.adopt_launcher('slurm')
    assert distributed_wrapper()['device_ids'] == [3]


def test_mask_grid_and_neck_width_follow_from_the_other_keys(registered):
    from eqssl.apps.open_config import open_config

    config = str(ROOT / 'projects/equivariance/configs/ibot_recon.py')
    for patch, grid in ((8, 4), (4, 8)):
        cfg = open_config(config, {'data_root': 'objects', 'model.backbone.patch_size': patch})
        assert cfg.train_dataloader.dataset.mask.grid == grid and 'in_channels' not in cfg.model.neck


def test_tables_and_json(tmp_path):
    text = format_table([{'a': 1, 'b': 0.5}, {'a': None, 'c': 'x'}])
    assert text.splitlines()[0].split() == ['a', 'b', 'c'] and '-' in text.splitlines()[3]
    write_json(tmp_path / 'deep' / 'x.json', {'a': 1})
    assert (tmp_path / 'deep' / 'x.json').read_text() == '{\n  "a": 1\n}\n'
    for place in ('/sys/x.json', str(tmp_path)):
        with pytest.raises(UserError, match=f"'{place}' cannot be written"):
            write_json(place, {})
    assert [path.name for path in tmp_path.iterdir()] == ['deep'] and not list(tmp_path.parent.glob('*.tmp'))


def test_user_errors_become_one_line_and_code_2(capsys, monkeypatch):
    def main():
        raise UserError('first\n  second')

    monkeypatch.setattr('sys.argv', ['x'])
    with pytest.raises(SystemExit) as stop:
        run_cli(main)
    assert stop.value.code == 2 and capsys.readouterr().err == 'error: first second\n'
    monkeypatch.setattr('sys.argv', ['x', '--debug'])
    with pytest.raises(UserError):
        run_cli(main)


def test_report_is_one_self_contained_file(tmp_path):
    import numpy as np

    from eqssl.visualization import Report

    report = Report('a <title>')
    report.table([{'x': 1, 'y': 0.25}])
    report.picture(np.zeros((4, 4, 3), np.uint8), 'black')
    text = report.write(tmp_path / 'r.html').read_text()
    assert 'a &lt;title&gt;' in text and 'data:image/png;base64' in text and 'http' not in text


@pytest.mark.parametrize(
    ('said', 'shown'),
    [
        ('layers=0 must be at least 1', 'model.head.layers=0 must be at least 1'),
        ("decoder.kind='x' is none of y", "model.head.decoder.kind='x' is none of y"),
        ('two sizes do not fit', 'model.head: two sizes do not fit'),
        ('model.neck.equi_dims=9 is too much', 'model.neck.equi_dims=9 is too much'),
        ('train_dataloader.batch_size=1 is too small', 'train_dataloader.batch_size=1 is too small'),
    ],
)
def test_builders_put_the_key_in_front(said, shown):
    with pytest.raises(UserError) as caught, at_key('model.head'):
        raise UserError(said)
    assert str(caught.value) == shown
