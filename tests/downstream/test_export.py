"""Requirement 4: every export loads back in its library and has the same features; nothing half-written stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from eqssl.apps.open_config import open_config
from eqssl.cli.export import FORMATS as CHOICES
from eqssl.config.text import read_config_text
from eqssl.downstream.backbone_file import read_backbone
from eqssl.downstream.export import check, open_network
from eqssl.downstream.export_formats import FORMATS, export
from eqssl.registry import MODELS
from eqssl.utils.errors import UserError
from tests.conftest import ROOT

pytestmark = pytest.mark.usefixtures('registered')


def checkpoint(folder, **options):
    """A file as tools/train.py writes it, with random weights."""
    cfg = open_config(str(ROOT / 'configs/demo/ibot_recon_objects.py'), options)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.add_(torch.randn_like(value).abs() * 0.02)
    folder.mkdir(parents=True)
    path = folder / 'iter_2.pth'
    torch.save({'state_dict': model.state_dict(), 'meta': {'cfg': cfg.pretty_text, 'iter': 2}}, path)
    return str(path)


RESNET = {
    'model.backbone': dict(_delete_=True, type='mmpretrain.ResNet', depth=18),
    'model.head': dict(_delete_=True, type='eqssl.BYOLHead', hidden=16, out_dim=8),
    'model.neck': None,
    'model.auxiliary': None,
    'train_dataloader.dataset.mask': None,
}


@pytest.fixture(scope='module')
def files(tmp_path_factory, registered):
    folder = tmp_path_factory.mktemp('export')
    return {
        'vit': checkpoint(folder / 'vit'),
        'scaled': checkpoint(folder / 'scaled', **{'model.backbone.layer_scale_init_value': 0.5}),
        'registers': checkpoint(folder / 'registers', **{'model.backbone.num_registers': 3}),
        'scaled registers': checkpoint(folder / 'scaled_registers', **{
            'model.backbone.num_registers': 3, 'model.backbone.layer_scale_init_value': 0.5}),
        'resnet': checkpoint(folder / 'resnet', **RESNET),
        'cifar': checkpoint(folder / 'cifar', **{**RESNET, 'model.backbone': dict(
            _delete_=True, type='mmpretrain.ResNet_CIFAR', depth=18, stem_channels=8, base_channels=8)}),
    }  # fmt: skip


FITS = [
    *(('vit', target) for target in FORMATS),
    *(('scaled', target) for target in ('backbone', 'timm', 'hf')),
    *(('registers', target) for target in ('backbone', 'timm', 'onnx')),
    *(('scaled registers', target) for target in ('timm', 'hf', 'safetensors')),
    *(('resnet', target) for target in ('backbone', 'timm', 'torchvision', 'safetensors')),
    ('cifar', 'backbone'),
    ('cifar', 'onnx'),
]
PACKAGES = {'timm': 'timm', 'hf': 'transformers', 'onnx': 'onnxruntime', 'safetensors': 'safetensors'}


@pytest.mark.parametrize(('kind', 'target'), FITS)
def test_what_was_written_has_the_same_features(files, tmp_path, kind, target, capsys):
    pytest.importorskip(PACKAGES.get(target, 'torch'))
    path = export(files[kind], target, tmp_path, name='net')
    assert path.exists() and [p.name for p in tmp_path.iterdir()] == [path.name]
    name, date, digest = (
        path.name.split('.')[0].rsplit('_', 1)[0],
        *path.name.split('.')[0].rsplit('_', 1)[1].split('-'),
    )
    assert name == f'net_{target}' and len(date) == 8 and len(digest) == 8
    assert 'features read back differ by' in capsys.readouterr().out


def test_backbone_and_metadata(files, tmp_path):
    path = export(files['vit'], 'backbone', tmp_path, branch='student')
    content = torch.load(path, weights_only=True)
    assert all(k.startswith('backbone.') for k in content['state_dict'])
    assert content['meta']['branch'] == 'student' and content['meta']['iteration'] == '2'
    original = torch.load(files['vit'], weights_only=True)['state_dict']
    torch.testing.assert_close(read_backbone(path).state['pos_embed'], original['backbone.pos_embed'])
    teacher = export(files['vit'], 'backbone', tmp_path)
    assert teacher.name[-12:] != path.name[-12:], 'another network, another hash'
    torch.testing.assert_close(read_backbone(teacher).state['pos_embed'], original['teacher.backbone.pos_embed'])


def test_features_that_differ_are_refused(files):
    network, same = open_network(files['vit']), open_network(files['vit'])
    same.module.double()
    assert check(network, same.features, 'x') == 0
    with pytest.raises(UserError, match=r'--to x: features differ by \d'):
        check(network, lambda images: same.features(images) * 1.0001, 'x')


@pytest.mark.parametrize(
    ('kind', 'target', 'message'),
    [
        ('scaled', 'torchvision', "no place for 'layers.0.attn.gamma1.weight'"),
        ('registers', 'hf', "no place for 'register_tokens'"),
        ('registers', 'torchvision', "no place for 'register_tokens'"),
        ('resnet', 'hf', 'is for ViTs'),
        ('cifar', 'torchvision', 'knows no mmpretrain.ResNet_CIFAR'),
        ('cifar', 'timm', 'knows no mmpretrain.ResNet_CIFAR'),
    ],
)
def test_formats_that_do_not_fit_say_so_and_leave_nothing(files, tmp_path, kind, target, message):
    pytest.importorskip(PACKAGES.get(target, 'torch'))
    with pytest.raises(UserError, match=message):
        export(files[kind], target, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_target_that_is_no_folder(files, tmp_path):
    (tmp_path / 'file').write_text('')
    for folder in (tmp_path / 'file', Path('/sys'), Path('/sys/exports')):
        with pytest.raises(UserError, match=f"--out '{folder}' is not a folder that can be written to"):
            export(files['vit'], 'safetensors', folder)


def test_an_export_that_is_stopped_leaves_nothing(files, tmp_path):
    """SIGTERM while the writer of a format is at work."""
    slow = f"""
import runpy, sys, time
from eqssl.downstream import export_formats
def write(network, path):
    path.write_text('half')
    print('half written', flush=True)
    time.sleep(60)
export_formats.FORMATS['backbone'] = ('.pth', write)
sys.argv = ['export.py', {files['vit']!r}, '--to', 'backbone', '--out', {str(tmp_path)!r}]
runpy.run_path('tools/export.py', run_name='__main__')
"""
    with subprocess.Popen([sys.executable, '-c', slow], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert next(process.stdout) == 'half written\n' and len(list(tmp_path.iterdir())) == 1
        process.terminate()
    assert process.returncode == 143 and not list(tmp_path.iterdir())


def test_the_config_inside_is_read_as_data():
    text = "a = dict(b=[1, (2.5, None)], c={'d': dict(e='f')})\nx = -1\n"
    assert read_config_text(text) == {'a': {'b': [1, (2.5, None)], 'c': {'d': {'e': 'f'}}}, 'x': -1}
    for code in ("a = print('executed')", 'import os', 'a = dict(**b)', 'a ='):
        with pytest.raises(UserError, match='not plain data'):
            read_config_text(code)


VIT = "dict(type='eqssl.VisionTransformer', arch=dict(embed_dims=8, num_layers=1, num_heads=1, feedforward_channels=8)"
HOSTILE = {
    'a program as backbone': ("dict(type='subprocess.Popen', args=['touch', 'executed'])", "type='subprocess.Popen'"),
    'a function as layer': (
        f"{VIT}, layer_cfgs=dict(act_cfg=dict(type='os.system', command='touch executed')))",
        'os.sys',
    ),
    'a network as layer': (f"{VIT}, layer_cfgs=dict(act_cfg=dict(type='mmpretrain.TIMMBackbone')))", 'TIMMBackbone'),
    'code of a hub': ("dict(type='mmpretrain.HuggingFaceClassifier', model_name='x')", 'mmpretrain.HuggingFaceClass'),
    'another scope': ("dict(type='evil.ResNet', depth=18)", "type='evil.ResNet'"),
    'no name': ('dict(depth=18)', 'type=None'),
    'an unknown argument': (f'{VIT}, typo=1)', "does not build .*unexpected keyword argument 'typo'"),
    'a wrong value': ("dict(type='mmpretrain.ResNet', depth=19)", 'does not build'),
    'no dict': ('5', 'is not one of pre-training'),
}


@pytest.mark.parametrize('case', HOSTILE, ids=lambda c: c.replace(' ', '_'))
def test_a_config_inside_builds_nothing_but_known_networks(tmp_path, case, monkeypatch):
    monkeypatch.chdir(tmp_path)
    backbone, message = HOSTILE[case]
    text = f"model = dict(type='eqssl.SSLPretrainer', backbone={backbone})"
    torch.save({'state_dict': {'x': torch.ones(1)}, 'meta': {'cfg': text}}, 'file.pth')
    with pytest.raises(UserError, match=message):
        open_network('file.pth')
    assert [path.name for path in tmp_path.iterdir()] == ['file.pth'], 'nothing was executed'


@pytest.mark.parametrize('text', [5, 'model = 5', 'model = {[]: 1}', 'model = ' + '-' * 20000 + '1'], ids=range(4))
def test_a_config_inside_that_is_no_config(tmp_path, text):
    torch.save({'state_dict': {'x': torch.ones(1)}, 'meta': {'cfg': text}}, tmp_path / 'file.pth')
    with pytest.raises(UserError, match='no config inside|not one of pre-training|not plain data'):
        open_network(str(tmp_path / 'file.pth'))


def test_the_tool_and_its_errors(files, tmp_path):
    def run(*words):
        command = [sys.executable, 'tools/export.py', *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    done = run(files['vit'], '--to', 'torchvision', '--out', str(tmp_path))
    assert done.returncode == 0 and 'vit_torchvision_' in done.stdout
    plain = tmp_path / 'plain.pth'
    torch.save({'state_dict': {}}, plain)
    with pytest.raises(UserError, match='not one of pre-training'):
        torch.save({'state_dict': {}, 'meta': {'cfg': "model = dict(type='EncoderDecoder')"}}, tmp_path / 'seg.pth')
        open_network(str(tmp_path / 'seg.pth'))
    failed = run(str(plain), '--to', 'backbone')
    assert failed.returncode == 2 and 'has no config inside' in failed.stderr and 'Traceback' not in failed.stderr


def test_the_command_offers_every_format():
    assert set(CHOICES) == set(FORMATS)
