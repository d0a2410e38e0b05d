"""The installed package, far from its checkout: the wheel holds what the commands need."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile

import pytest

from eqssl.cli.main import COMMANDS, parser_of
from eqssl.config.reader import find_config
from eqssl.utils.errors import UserError
from eqssl.utils.places import shipped
from tests.conftest import ROOT

pytestmark = pytest.mark.integration


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
    """The wheel's content in a folder of its own."""
    place = tmp_path_factory.mktemp('wheel')
    source = place / 'source'
    files = subprocess.run(['git', 'ls-files', '-z'], cwd=ROOT, capture_output=True, check=True).stdout.split(b'\0')
    names = [name.decode() for name in files if name and not name.startswith((b'tests/', b'docs/', b'projects/'))]
    for name in names:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    pip = [
        sys.executable,
        '-m',
        'pip',
        '-q',
        'wheel',
        '--no-deps',
        '--no-build-isolation',
        '-w',
        str(place),
        str(source),
    ]
    subprocess.run(pip, check=True, capture_output=True)
    with zipfile.ZipFile(next(place.glob('eqssl-*.whl'))) as wheel:
        wheel.extractall(place / 'site')
    return place / 'site'


def eqssl(installed, folder, *words):
    """A command of the installed package."""
    environment = {**os.environ, 'PYTHONPATH': str(installed), 'OMP_NUM_THREADS': '1', 'PYTHONWARNINGS': 'ignore'}
    command = [sys.executable, '-m', 'eqssl', *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_demo_trains_from_the_wheel_in_another_folder(installed, tmp_path):
    small = ['train_cfg.max_iters=2', 'param_scheduler.0.warmup=0', 'train_dataloader.batch_size=8']
    small += ['default_hooks.logger.interval=1', 'default_hooks.evaluation=None', 'evaluation.tasks.equivariance=None']
    small += ['evaluation.limits.train=64', 'evaluation.limits.test=32']
    done = eqssl(installed, tmp_path, 'train', 'demo/simclr_recon_photos', '--cfg-options', *small)
    assert done.returncode == 0, done.stderr[-2000:]
    folder = tmp_path / 'work_dirs' / 'simclr_recon_photos'
    assert (folder / 'iter_2.pth').is_file()
    done = eqssl(installed, tmp_path, 'profile', 'ibot_recon_vits', '--cfg-options', 'data_root=x')
    assert done.returncode == 0 and 'extra FLOPs over the base: 9.9 %' in done.stdout, done.stdout + done.stderr[-2000:]
    done = eqssl(installed, tmp_path, 'train', 'ibot_recon_vts', '--check', '1')
    assert done.returncode == 2 and "did you mean 'ibot_recon_vits'?" in done.stderr and 'Traceback' not in done.stderr


def test_the_wheel_holds_configs_tools_and_data(installed):
    for folder in ('configs', 'tools', 'demo'):
        there = {
            p.relative_to(installed / 'eqssl/.mim')
            for p in (installed / 'eqssl/.mim' / folder).rglob('*')
            if p.is_file()
        }
        wanted = {
            p.relative_to(ROOT) for p in (ROOT / folder).rglob('*') if p.is_file() and '__pycache__' not in p.parts
        }
        assert there == wanted
    entry = next(installed.glob('eqssl-*.dist-info')) / 'entry_points.txt'
    assert 'eqssl = eqssl.cli:main' in entry.read_text()


def test_what_data_root_may_be_called_is_known_without_the_tests():
    code = 'import eqssl.apps.train; from eqssl.registry import NAMED_DATA; print(*sorted(NAMED_DATA))'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split()[-5:] == ['cifar10', 'cifar100', 'nuclei', 'objects', 'photos']


def test_a_script_runs_the_package_beside_it_or_none(tmp_path):
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'eqssl').mkdir()
    (tmp_path / 'eqssl/__init__.py').write_text('')
    (tmp_path / 'tools/fetch.py').write_bytes((ROOT / 'tools/data/fetch.py').read_bytes())
    command = [sys.executable, str(tmp_path / 'tools/fetch.py'), 'cifar10']
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2 and 'lies beside another eqssl' in done.stderr and 'Traceback' not in done.stderr


def test_configs_are_found_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config('ibot_recon_vits') == shipped('configs', 'eqssl', 'ibot_recon_vits.py')
    assert find_config('demo/simclr_photos.py') == shipped('configs', 'demo', 'simclr_photos.py')
    with pytest.raises(
        UserError, match=r"'simclr_cifar10' may be bases/simclr_cifar10 or demo/simclr_cifar10; say which"
    ):
        find_config('simclr_cifar10')
    with pytest.raises(UserError, match=r"'ibot_recon_vts' does not exist \(did you mean 'ibot_recon_vits'\?\)"):
        find_config('ibot_recon_vts')
    for nothing in ('', '.', '/'):
        with pytest.raises(UserError, match='is no file'):
            find_config(nothing)
    (tmp_path / 'ibot_recon_vits').mkdir()
    (tmp_path / 'mine.py').write_text('a = 1\n')
    assert find_config('mine.py').is_file() and find_config('ibot_recon_vits').is_file()


@pytest.mark.parametrize('name', COMMANDS)
def test_every_command_says_what_it_does(name, capsys):
    with pytest.raises(SystemExit, match='0'):
        parser_of(name, f'eqssl {name}').parse_args(['--help'])
    assert '--debug' in capsys.readouterr().out


def test_the_check_starts_where_upstream_packages_shadow_ours(installed, tmp_path):
    upstream = tmp_path / 'upstream' / 'mmcv-2.2.0.dist-info'
    upstream.mkdir(parents=True)
    (upstream / 'METADATA').write_text('Metadata-Version: 2.1\nName: mmcv\nVersion: 2.2.0\n')
    path = os.pathsep.join([str(installed), str(upstream.parent)])
    environment = {**os.environ, 'PYTHONPATH': path, 'PYTHONWARNINGS': 'ignore'}
    command = [sys.executable, '-m', 'eqssl', 'check-env', '--quiet']
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 1 and 'mmcv 2.2.0 lies over onedl-mmcv' in found.stdout, found.stderr[-2000:]
    assert 'pip uninstall -y mmcv' in found.stdout
    command[3:] = ['train', 'ibot_vits']
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode != 0 and 'pip uninstall -y mmcv' in found.stderr
