"""Every downstream config takes the checkpoint of its size, a step and a prediction from its data set's layout."""

from __future__ import annotations

import pytest
import torch

from eqssl.config.reader import read_config
from eqssl.registry import MODELS
from tests.conftest import ROOT
from tests.downstream.layouts import write_layout

pytest.importorskip('mmseg')
pytest.importorskip('mmdet')
pytest.importorskip('mmcv._ext', reason='mmcv without compiled ops')
pytestmark = [pytest.mark.downstream, pytest.mark.usefixtures('registered')]
PATHS = sorted((ROOT / 'configs/downstream').glob('mm*/*.py'))


def source_backbone(backbone):
    """The pre-training network of a config's size."""
    if backbone.type == 'ResNet':
        return MODELS.build(dict(type='mmpretrain.ResNet', depth=backbone.depth))
    keys = {k: v for k, v in backbone.items() if k in ('arch', 'img_size', 'patch_size')}
    return MODELS.build(dict(type='eqssl.VisionTransformer', **keys))


SMALL = {(512, 512): (64, 64), (2048, 512): (256, 64), (1333, 800): (128, 96), (384, 600): (48, 64)}


def smaller(node):
    """Images and crops of about 64 px instead of 224 to 1333, 16 proposals instead of 2000."""
    for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
        if isinstance(value, tuple) and value in SMALL:
            node[key] = SMALL[value]
        elif key == 'scales' and isinstance(value[0], tuple):
            node[key] = [(64, 128), (96, 128)]
        elif key == 'stride':
            node[key] = (43, 43)
        elif key in ('max_per_img', 'num') and value > 16:  # proposals
            node[key] = 16
        elif key == 'score_thr':
            node[key] = 0.0  # an untrained detector is sure of nothing
        elif isinstance(value, (dict, list)):
            smaller(value)


def with_library(cfg):
    """A config as the launcher completes it."""
    from mmengine.registry import init_default_scope

    from eqssl.apps.open_config import load_library
    from eqssl.config.finetuning import complete_finetuning

    load_library(cfg.default_scope)
    init_default_scope(cfg.default_scope)
    complete_finetuning(cfg)
    return cfg


def completed(path, root, **options):
    """:func:`with_library` of a path, with the layout of its data set in ``root``."""
    write_layout(root, path.stem)
    return with_library(read_config(str(path), {'data_root': str(root), **options}))


@pytest.mark.parametrize('path', PATHS, ids=lambda p: p.stem)
def test_it_takes_the_checkpoint_of_its_size(path, tmp_path):
    from mmengine.registry import MODELS as ROOT_MODELS

    from eqssl.config.finetuning import LOADERS, complete_finetuning
    from eqssl.config.tree import dicts

    source = source_backbone(read_config(str(path)).model.backbone).state_dict()
    torch.save({'teacher': {f'backbone.{k}': v for k, v in source.items()}}, tmp_path / 'backbone.pth')
    cfg = completed(path, tmp_path, checkpoint=str(tmp_path / 'backbone.pth'))
    roots = {node['data_root'] for node in dicts([cfg.get(key) for key in LOADERS]) if 'data_root' in node}
    assert roots == {str(tmp_path)}
    backbone = ROOT_MODELS.build(cfg.model.backbone)
    backbone.init_weights()
    own = backbone.state_dict()
    assert all(value.equal(own[name]) for name, value in source.items() if name in own)
    tested = read_config(str(path), {'data_root': str(tmp_path)})
    complete_finetuning(tested, ('test_dataloader',), from_checkpoint=False)
    assert tested.model.backbone.init_cfg is None, 'tools/test.py and a resumed run need no pre-training checkpoint'
    text = path.read_text()
    assert all(f'# {field}' in text for field in ('reproduces:', 'cost:', 'command:', 'expected:', 'measured:'))


@pytest.mark.parametrize('path', PATHS, ids=lambda p: p.stem)
def test_it_takes_a_step_and_predicts_from_its_data_layout(path, tmp_path):
    from mmengine.dataset import pseudo_collate
    from mmengine.evaluator import Evaluator
    from mmengine.registry import DATASETS as ROOT_DATASETS
    from mmengine.registry import MODELS as ROOT_MODELS

    cfg = completed(path, tmp_path, **{'model.backbone.init_cfg': None})
    smaller(cfg._cfg_dict)
    if cfg.get('data_preprocessor'):
        cfg.model.data_preprocessor = dict(type='ClsDataPreprocessor', **cfg.data_preprocessor)
    model = ROOT_MODELS.build(cfg.model)
    model.train()
    train, val = (ROOT_DATASETS.build(cfg[f'{split}_dataloader'].dataset) for split in ('train', 'val'))
    batch = model.data_preprocessor(pseudo_collate([train[0], train[0]]), True)
    total, _ = model.parse_losses(model(**batch, mode='loss'))
    total.backward()
    assert torch.isfinite(total)
    unused = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert unused == [], 'a parameter without gradient stops a distributed run'
    learning = [p for p in model.backbone.parameters() if p.requires_grad]
    assert (learning == []) == ('linear' in path.stem or 'frozen' in path.stem)
    model.eval()
    data = pseudo_collate([val[0]])
    with torch.no_grad():
        (sample,) = model.test_step(data)
    if cfg.default_scope == 'mmseg':
        assert sample.pred_sem_seg.data.shape[-2:] == sample.ori_shape
    elif cfg.default_scope == 'mmdet':
        assert sample.pred_instances.bboxes.shape[1] == 4
    else:
        assert sample.pred_score.shape == (1000,)
    evaluator = Evaluator(cfg.val_evaluator)
    evaluator.dataset_meta = val.metainfo
    evaluator.process([sample], data)
    assert evaluator.evaluate(1), "the library's own metric reads the prediction"


def test_the_guides_config_for_ones_own_images(tmp_path):
    from mmengine.registry import DATASETS as ROOT_DATASETS

    from eqssl.downstream.nuclei import nuclei_folder

    guide = (ROOT / 'docs/en/user_guides/downstream.md').read_text()
    block = guide.split('## Your own annotated images')[1].split('```python')[1].split('```')[0]
    config = tmp_path / 'mine.py'
    config.write_text(block.replace("'configs/", f"'{ROOT}/configs/").replace("'DIR'", repr(str(nuclei_folder()))))
    cfg = with_library(read_config(str(config), {'model.backbone.init_cfg': None}))
    train, val = (ROOT_DATASETS.build(cfg[f'{split}_dataloader'].dataset) for split in ('train', 'val'))
    assert (len(train), len(val), train.metainfo['classes']) == (12, 4, ('nucleus',))
    assert cfg.test_evaluator.ann_file == str(nuclei_folder() / 'val.json')
    assert cfg.model.roi_head.mask_head.num_classes == 1
