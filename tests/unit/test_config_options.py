"""``--cfg-options`` as typed: paths stay paths, everything else is what OpenMMLab's tools read."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config

from eqssl.config.difference import differences
from eqssl.config.options import expand_home, parse_options
from eqssl.config.reader import read_config
from eqssl.utils.errors import UserError

CFG = Config(dict(
    data_root='cifar10', log_level='INFO', sync_bn='torch', model=dict(depth=18, arch='deit-small', out=(1, 2)),
    views=[dict(size=8), dict(size=16, group='global')], train=dict(source=dict(type='x')),
))  # fmt: skip
PATHS = [
    '/my images',
    '/cats,dogs',
    'run (1)',
    '(1) run',
    '[1] x',
    '2024_01',
    '1e5',
    '10',
    'True',
    '~/x',
    'a=b',
    "it's",
    '/a{b}',
]


@pytest.mark.parametrize('path', PATHS)
@pytest.mark.parametrize(
    'key', ['data_root', 'checkpoint', 'load_from', 'train.source.data_root', 'val.ann_file', 'a.saliency']
)
def test_paths_are_taken_as_they_are_typed(path, key):
    assert parse_options([f'{key}={path}'], CFG) == {key: path}


def test_quotes_and_none():
    assert parse_options(["data_root='/x y'", 'checkpoint=None', 'log_level="WARNING"'], CFG) == {
        'data_root': '/x y', 'checkpoint': None, 'log_level': 'WARNING',
    }  # fmt: skip


def test_other_values_are_read_as_openmmlabs_tools_read_them():
    typed = ['model.depth=50', 'model.out=(2,3)', 'lr=1e-3', 'betas=[0.9,0.95]', 'flag=True', 'name=cosine', 'pair=1,2']
    assert parse_options(typed, CFG) == {
        'model.depth': 50, 'model.out': (2, 3), 'lr': 1e-3, 'betas': [0.9, 0.95], 'flag': True, 'name': 'cosine',
        'pair': [1, 2],
    }  # fmt: skip
    assert parse_options(['model.arch=2', 'views.1.group=1e5', 'sync_bn=False'], CFG) == {
        'model.arch': '2', 'views.1.group': '1e5', 'sync_bn': False,
    }  # fmt: skip
    values = {'a': object()}
    assert parse_options(values, CFG) == values


def test_lists_keep_spaces_and_a_hook_called_checkpoint_is_no_path():
    cfg = Config(dict(default_hooks=dict(checkpoint=dict(interval=1)), classes=('x',), files=[]))
    typed = ["classes=('a b','c')", "files=['/a b/x']", 'default_hooks.checkpoint=None', 'default_hooks.checkpoint=5']
    found = [parse_options([option], cfg) for option in typed]
    assert [next(iter(x.values())) for x in found] == [('a b', 'c'), ['/a b/x'], None, 5]


@pytest.mark.parametrize('typed', ['/my', 'images', '=3', 'model.out=(1,', 'data_root=', 'load_from='])
def test_what_is_no_option_is_told_in_one_line(typed):
    with pytest.raises(UserError, match='--cfg-options: '):
        parse_options([typed], CFG)


def test_home_is_expanded_in_paths_alone():
    cfg = Config(dict(data_root='~/images', note='~ about', deep=[dict(ann_file='~/a.json', data_prefix='~x')]))
    expand_home(cfg)
    home = str(Path.home())
    assert cfg.data_root == f'{home}/images' and cfg.note == '~ about' and cfg.deep[0].ann_file == f'{home}/a.json'


def test_options_through_the_front_door(tmp_path):
    config = tmp_path / 'my config (1).py'
    config.write_text("data_root = 'x'\nmodel = dict(type='a', depth=3)\n")
    cfg = read_config(str(config), ['data_root=/a b,c', 'model.depth=5'])
    assert cfg.data_root == '/a b,c' and cfg.model.depth == 5
    with pytest.raises(UserError, match="'data_rot' is unknown .*'data_root'"):
        read_config(str(config), ['data_rot=/x'])


def test_differences_are_named_by_key_and_nothing_is_executed():
    old = Config(dict(model=dict(a=1, b=[1, 2], gone=dict(x=1)), work_dir='w', lr=0.1, s=[dict(type='A', f=0.0)]))
    new = Config(
        dict(model=dict(a=2, b=[1, 3], new='n'), work_dir='v', lr=0.1, s=[dict(type='A', f=1.0)], launcher='x')
    )
    found = differences(old.pretty_text, new)
    assert [str(d) for d in found] == [
        'model.a was 1, is 2', 'model.b.1 was 2, is 3', "model.gone was {'x': 1}, is not set",
        "model.new was not set, is 'n'", 's.0.f was 0.0, is 1.0',
    ]  # fmt: skip
    assert found[1].under('model') and found[1].under('lr', 'model.b') and not found[1].under('model.bb', 'mode')
    assert differences(old.pretty_text, old) == []
    assert differences('x = __import__("os").system("touch executed")', old) is None
    assert not Path('executed').exists()
