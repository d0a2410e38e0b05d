"""mmcv's compiled ops: the wheel is built once per torch and platform, kept, reused; a failed build leaves nothing."""

from __future__ import annotations

import sys

import pytest
import torch

from eqssl.install import mmcv_ops
from eqssl.utils.errors import UserError

BUILDER = """
import os, pathlib, sys
if 'install' in sys.argv:
    sys.exit(0)
assert os.environ['MMCV_WITH_OPS'] == '1' and '-O1' in os.environ['CFLAGS'] and os.environ['PYTHONPATH']
for step in (1, 2, 3):
    print(f'  [{step}/3] c++ file{step}.cpp', flush=True)
out = pathlib.Path(sys.argv[sys.argv.index('-w') + 1])
out.mkdir()
NAME
"""
GOOD = "(out / 'onedl_mmcv-2.3.6-cp311-cp311-linux_x86_64.whl').write_bytes(b'ops')"
WITHOUT_OPS = "(out / 'onedl_mmcv-2.3.6-py3-none-any.whl').write_bytes(b'none')"
BROKEN = "print('fatal error: Python.h: No such file'); sys.exit(1)"


@pytest.fixture
def builder(monkeypatch, tmp_path):
    """Takes pip's place: prints what ninja prints and leaves a wheel."""

    def use(ending):
        script = tmp_path / 'pip.py'
        script.write_text(BUILDER.replace('NAME', ending))
        monkeypatch.setattr(mmcv_ops, 'pip', lambda *arguments: [sys.executable, str(script), *arguments])

    return use


def test_a_wheel_is_built_once_and_kept_by_torch_and_platform(builder, monkeypatch, tmp_path, capsys):
    builder(GOOD)
    wheel = mmcv_ops.ensure_wheel(tmp_path, '2.3.6')
    assert wheel.read_bytes() == b'ops' and wheel.parent == tmp_path / 'wheels' / mmcv_ops.platform_key()
    assert '[3/3]' in (wheel.parent / 'build.log').read_text()
    builder(BROKEN)
    assert mmcv_ops.ensure_wheel(tmp_path, '2.3.6') == wheel and 'kept wheel' in capsys.readouterr().out
    monkeypatch.setattr(torch, '__version__', '2.12.0+cpu')
    with pytest.raises(UserError, match=r'could not be compiled .*g\+\+'):
        mmcv_ops.ensure_wheel(tmp_path, '2.3.6')
    assert 'Python.h' in capsys.readouterr().err, 'the end of the log is shown'


@pytest.mark.parametrize('ending', [WITHOUT_OPS, BROKEN])
def test_a_failed_build_leaves_no_wheel(builder, tmp_path, ending):
    builder(ending)
    with pytest.raises(UserError, match='could not be compiled'):
        mmcv_ops.build_wheel(tmp_path / 'kept', '2.3.6')
    assert [p.name for p in (tmp_path / 'kept').iterdir()] == ['build.log']


def test_the_key_tells_what_pips_own_cache_does_not(monkeypatch):
    key = mmcv_ops.platform_key()
    tag = f'cp{sys.version_info.major}{sys.version_info.minor}'
    assert key.startswith(f'torch{torch.__version__}-') and tag in key and 'linux' in key
    monkeypatch.setattr(torch, '__version__', '2.12.0')
    other = mmcv_ops.platform_key()
    assert other != key
    monkeypatch.setenv('FORCE_CUDA', '1')
    monkeypatch.setenv('TORCH_CUDA_ARCH_LIST', '8.0 9.0')
    assert 'cuda' in mmcv_ops.platform_key() and '8.0_9.0' in mmcv_ops.platform_key()


def test_progress_counts_files_and_time():
    assert mmcv_ops.progress_line('  [12/78] c++ -MMD x.o', 0.0, 65.4) == 'mmcv ops: 12 of 78 files, 01:05'
    assert mmcv_ops.progress_line('running build_ext', 0.0, 1.0) is None


def test_the_build_keeps_flags_that_the_user_set(tmp_path):
    made = mmcv_ops.build_environment(tmp_path, {'CXXFLAGS': '-O3', 'PATH': '/bin', 'PYTHONPATH': '/mine'})
    assert made['CXXFLAGS'] == '-O3' and made['CFLAGS'] == '-g0 -O1'
    assert made['PATH'] == f'{tmp_path}/bin:/bin' and made['PYTHONPATH'] == f'{tmp_path}:/mine'


def test_ops_that_load_are_left_alone(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(mmcv_ops, '_ops_load', lambda: True)
    monkeypatch.setattr(mmcv_ops, 'version_of', lambda name: '2.3.6')
    mmcv_ops.install(tmp_path)
    assert 'already' in capsys.readouterr().out and not list(tmp_path.iterdir())
    monkeypatch.setattr(mmcv_ops, 'version_of', lambda name: None)
    with pytest.raises(UserError, match='make install'):
        mmcv_ops.install(tmp_path)
