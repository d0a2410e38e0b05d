"""Data sets of one small image, laid out as ADE20K, VOC, ImageNet and COCO are."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from eqssl.downstream.nuclei import write_nuclei

HEIGHT, WIDTH = 80, 100
OBJECT = """<annotation>
<size><width>100</width><height>80</height></size><object><name>dog</name><difficult>0</difficult>
<bndbox><xmin>10</xmin><ymin>10</ymin><xmax>60</xmax><ymax>60</ymax></bndbox></object></annotation>"""


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def photo():
    return np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def classes():
    return np.random.default_rng(1).integers(0, 20, (HEIGHT, WIDTH), dtype=np.uint8)


def ade(root):
    for split in ('training', 'validation'):
        save(root / f'images/{split}/a.jpg', photo())
        save(root / f'annotations/{split}/a.png', classes())


def voc12(root):
    save(root / 'JPEGImages/a.jpg', photo())
    save(root / 'SegmentationClass/a.png', classes())
    (root / 'ImageSets/Segmentation').mkdir(parents=True)
    for split in ('train', 'val'):
        (root / f'ImageSets/Segmentation/{split}.txt').write_text('a\n')


def voc0712(root):
    for year, splits in ((2007, ('trainval', 'test')), (2012, ('trainval',))):
        folder = root / f'VOC{year}'
        save(folder / 'JPEGImages/a.jpg', photo())
        for name in ('Annotations', 'ImageSets/Main'):
            (folder / name).mkdir(parents=True)
        (folder / 'Annotations/a.xml').write_text(OBJECT)
        for split in splits:
            (folder / f'ImageSets/Main/{split}.txt').write_text('a\n')


def in1k(root):
    for split in ('train', 'val'):
        for number in range(1000):
            (root / split / f'n{number:08d}').mkdir(parents=True)
        save(root / f'{split}/n00000007/a.JPEG', photo())


def coco(root):
    from mmdet.datasets import CocoDataset

    names = CocoDataset.METAINFO['classes']
    (root / 'annotations').mkdir()
    for split in ('train', 'val'):
        save(root / f'{split}2017/a.jpg', photo())
        box = {'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [10, 10, 50, 50], 'area': 2500, 'iscrowd': 0}
        box['segmentation'] = [[10, 10, 60, 10, 60, 60, 10, 60]]
        content = {
            'images': [{'id': 1, 'file_name': 'a.jpg', 'width': WIDTH, 'height': HEIGHT}],
            'annotations': [box],
            'categories': [{'id': number + 1, 'name': name} for number, name in enumerate(names)],
        }
        (root / f'annotations/instances_{split}2017.json').write_text(json.dumps(content))


LAYOUTS = {
    'nuclei': write_nuclei,
    'ade20k': ade,
    'voc12': voc12,
    'voc0712': voc0712,
    'in1k': in1k,
    'coco': coco,
}


def write_layout(root, config):
    """The layout that a config's name asks for."""
    next(write for name, write in LAYOUTS.items() if name in config)(root)
