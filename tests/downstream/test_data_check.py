"""Classes, files and label maps of fine-tuning data: what the libraries skip in silence is refused, also by --check."""

from __future__ import annotations

import copy
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from eqssl.apps.open_config import load_library
from eqssl.config.finetuning import LOADERS, complete_data
from eqssl.config.reader import read_config
from eqssl.downstream.data_check import check_data
from eqssl.downstream.nuclei import write_nuclei
from eqssl.utils.errors import UserError
from tests.conftest import ROOT, write_images
from tests.downstream.layouts import voc0712

pytest.importorskip('mmseg')
pytestmark = [pytest.mark.downstream, pytest.mark.usefixtures('registered')]
SEGMENT = 'configs/downstream/mmseg/upernet_demo_nuclei.py'
DETECT = 'configs/downstream/mmdet/mask_rcnn_demo_nuclei.py'
VOC = 'configs/downstream/mmdet/faster_rcnn_r50_voc0712.py'


@pytest.fixture(scope='session')
def nuclei(tmp_path_factory):
    root = tmp_path_factory.mktemp('nuclei')
    write_nuclei(root)
    return root


def check(path, root, change=None):
    """The check on a config whose data lie in ``root``."""
    cfg = read_config(str(ROOT / path), {'data_root': str(root)})
    load_library(cfg.default_scope)
    if change is not None:
        change(cfg)
    complete_data(cfg, LOADERS)
    check_data(cfg, LOADERS)


def with_classes(*names):
    def change(cfg):
        for loader in LOADERS:
            cfg[loader].dataset.metainfo = dict(classes=names)

    return change


def detector():
    pytest.importorskip('mmdet')
    pytest.importorskip('mmcv._ext', reason='mmcv without compiled ops')


def test_whole_data_pass(nuclei, tmp_path):
    check(SEGMENT, nuclei)
    detector()
    check(DETECT, nuclei)
    voc0712(tmp_path)
    check(VOC, tmp_path)


def test_classes_of_coco_files_must_have_their_names_and_their_order(nuclei, tmp_path):
    detector()
    with pytest.raises(
        UserError, match=r"train_dataloader.dataset.metainfo.classes: 'nuclei' is not among .*'nucleus'"
    ):
        check(DETECT, nuclei, with_classes('nuclei'))
    shutil.copytree(nuclei, tmp_path / 'two')
    for split in ('train', 'val'):
        file = tmp_path / 'two' / f'{split}.json'
        content = json.loads(file.read_text())
        content['categories'] = [{'id': 7, 'name': 'cell'}, *content['categories']]
        file.write_text(json.dumps(content))

    def two(*names):
        def change(cfg):
            with_classes(*names)(cfg)
            for head in (cfg.model.roi_head.bbox_head, cfg.model.roi_head.mask_head):
                head.num_classes = 2

        return change

    check(DETECT, tmp_path / 'two', two('cell', 'nucleus'))  # no annotation of 'cell': said, not refused
    with pytest.raises(
        UserError, match=r"in the order of 'train.json'; write them in that order: \('cell', 'nucleus'\)"
    ):
        check(DETECT, tmp_path / 'two', two('nucleus', 'cell'))
    with pytest.raises(UserError, match=r'bbox_head.num_classes=1, but the data have 2 classes \(cell, nucleus\)'):
        check(DETECT, tmp_path / 'two', with_classes('cell', 'nucleus'))
    (tmp_path / 'two' / 'val.json').write_text('{')
    with pytest.raises(UserError, match="val_dataloader.dataset: .*val.json' is no annotation file of COCO's format"):
        check(DETECT, tmp_path / 'two', two('cell', 'nucleus'))


def test_why_the_order_matters(nuclei, tmp_path):
    """mmdet's own numbers for classes written in another order than the file's (mmdet 3.5.1)."""
    detector()
    from mmdet.datasets import CocoDataset

    content = json.loads((nuclei / 'train.json').read_text())
    content['categories'] = [{'id': 7, 'name': 'cell'}, *content['categories']]
    (tmp_path / 'a.json').write_text(json.dumps(content))
    classes = dict(classes=('nucleus', 'cell'))
    data = CocoDataset(ann_file=str(tmp_path / 'a.json'), metainfo=classes, data_prefix=dict(img=''), pipeline=[])
    labels = {box['bbox_label'] for i in range(len(data)) for box in data.get_data_info(i)['instances']}
    assert labels == {1}, "every nucleus is called 'cell'; if this changes, the check of the order can go"


def test_classes_have_one_numbering_in_all_data_sets_and_may_stand_in_a_file(nuclei, tmp_path):
    def reversed_in_val(cfg):
        cfg.val_dataloader.dataset.metainfo = dict(classes=('nucleus', 'background'))

    with pytest.raises(
        UserError, match=r'val_dataloader.dataset.metainfo.classes=.* are not those of train_dataloader'
    ):
        check(SEGMENT, nuclei, reversed_in_val)
    file = tmp_path / 'classes.txt'
    file.write_text('background\nnucleus\n')

    def from_file(name):
        def change(cfg):
            for loader in LOADERS:
                cfg[loader].dataset.metainfo = dict(classes=name)

        return change

    check(SEGMENT, nuclei, from_file(str(file)))
    with pytest.raises(UserError, match="classes='nucleus' is neither a list of names nor a file"):
        check(SEGMENT, nuclei, from_file('nucleus'))


def test_classes_of_voc_annotations(tmp_path):
    detector()
    voc0712(tmp_path)
    from mmdet.datasets import VOCDataset

    names = [{'dog': 'dogs'}.get(name, name) for name in VOCDataset.METAINFO['classes']]

    def change(cfg):
        for node in [*cfg.train_dataloader.dataset.datasets, cfg.val_dataloader.dataset, cfg.test_dataloader.dataset]:
            node.metainfo = dict(classes=tuple(names))

    with pytest.raises(UserError, match=r"datasets\[0\].metainfo.classes: '\w+' has no annotation; .* name dog"):
        check(VOC, tmp_path, change)


@pytest.mark.parametrize('path', [SEGMENT, DETECT], ids=['mmseg', 'mmdet'])
def test_missing_images_and_masks(nuclei, tmp_path, path):
    if path == DETECT:
        detector()
    root = tmp_path / 'n'
    shutil.copytree(nuclei, root)
    image = sorted((root / 'images/train').iterdir())[1]
    if path == SEGMENT:
        (root / 'masks/train' / image.name).unlink()
        with pytest.raises(UserError, match=rf'train_dataloader.dataset: 1 of \d+ masks are missing, .*{image.name}'):
            check(path, root)
    else:
        image.unlink()
        with pytest.raises(UserError, match=rf'train_dataloader.dataset: 1 of \d+ images are missing, .*{image.name}'):
            check(path, root)


def test_labels_beyond_the_classes_and_damaged_masks(nuclei, tmp_path):
    root = tmp_path / 'n'
    shutil.copytree(nuclei, root)
    cfg = read_config(str(ROOT / SEGMENT))
    masks = root / cfg.val_dataloader.dataset.data_prefix.seg_map_path
    mask = sorted(masks.iterdir())[2]
    label = np.asarray(Image.open(mask)).copy()
    label[0, 0] = 255
    Image.fromarray(label).save(mask)
    check(SEGMENT, root)  # 255 is ignored
    label[3, 5] = 2
    Image.fromarray(label).save(mask)
    with pytest.raises(
        UserError, match=rf"val_dataloader.dataset: mask .*{mask.name}' has label 2, but there are 2 classes"
    ):
        check(SEGMENT, root)
    mask.write_bytes(mask.read_bytes()[:60])
    with pytest.raises(UserError, match=f"{mask.name}' cannot be read"):
        check(SEGMENT, root)


def test_class_folders_of_both_splits_are_the_same(tmp_path):
    for split, names in (('train', 'abc'), ('val', 'ac')):
        for name in names:
            write_images(tmp_path / split / name, 2)
    cfg = read_config(str(ROOT / 'configs/downstream/mmpretrain/vits_finetune_in1k_200e.py'))
    load_library('mmpretrain')
    source = dict(type='CustomDataset', data_root=str(tmp_path), pipeline=[])
    for loader, split in (('train_dataloader', 'train'), ('val_dataloader', 'val'), ('test_dataloader', 'val')):
        cfg[loader].dataset = dict(**copy.deepcopy(source), data_prefix=split)
    with pytest.raises(UserError, match="val_dataloader.dataset has no class folder 'b', which the other split has"):
        check_data(cfg, LOADERS)
    (tmp_path / 'val' / 'b').mkdir()
    check_data(cfg, LOADERS)


def test_check_says_it(nuclei, tmp_path, demo_checkpoint):
    from eqssl.apps.train import run_training
    from tests.integration.test_bad_input import arguments

    root = tmp_path / 'n'
    shutil.copytree(nuclei, root)
    sorted((root / 'masks/val').iterdir())[0].unlink()
    given = {'checkpoint': str(demo_checkpoint), 'data_root': str(root)}
    for check in (1, None):
        options = {**given, 'train_cfg.max_iters': 1}
        with pytest.raises(UserError, match=r'val_dataloader.dataset: 1 of \d+ masks are missing'):
            run_training(arguments(tmp_path, config=str(ROOT / SEGMENT), options=options, check=check))
    assert not list((tmp_path / 'work').glob('*.pth'))
