"""The tree crowns: boxes of an annotated photograph fall into its tiles; a wrong package is refused."""

from __future__ import annotations

import io
import json
import subprocess
import zipfile

import numpy as np
import pytest
from PIL import Image

from eqssl.downstream import tree_crowns
from eqssl.utils.errors import UserError

BOX = '<object><name>Tree</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>'
BOXES = [(10, 20, 50, 70), (380, 100, 420, 140), (395, 300, 435, 340), (500, 30, 505, 90), (900, 30, 950, 90)]


def wheel(path):
    """A package with photographs of 850 x 400 px, two tiles each."""
    with zipfile.ZipFile(path, 'w') as archive:
        for number, name in enumerate([*tree_crowns.SPLITS['train'], *tree_crowns.SPLITS['val']]):
            png = io.BytesIO()
            Image.fromarray(np.full((400, 850, 3), 10 * number, np.uint8)).save(png, 'png')
            archive.writestr(f'{tree_crowns.INSIDE}{name}.png', png.getvalue())
            boxes = ''.join(BOX.format(*box) for box in BOXES)
            archive.writestr(f'{tree_crowns.INSIDE}{name}.xml', f'<annotation>{boxes}</annotation>')
    return path


def test_boxes_fall_into_their_tiles(tmp_path):
    tree_crowns.write_tiles(wheel(tmp_path / 'deepforest.whl'), tmp_path / 'out')
    train, val = (json.loads((tmp_path / f'out/{split}.json').read_text()) for split in ('train', 'val'))
    assert [len(split['images']) for split in (train, val)] == [2, 6]
    boxes = {image: [a['bbox'] for a in train['annotations'] if a['image_id'] == image] for image in (1, 2)}
    assert boxes[1] == [[10, 20, 40, 50], [380, 100, 20, 40]], 'half of the second box is kept, the third is cut off'
    assert boxes[2] == [[0, 100, 20, 40], [0, 300, 35, 40]], 'the fourth is too thin, the last beyond the tiles'
    assert all(a['area'] == a['bbox'][2] * a['bbox'][3] for a in train['annotations'])
    tile = Image.open(tmp_path / 'out/images/train' / train['images'][1]['file_name'])
    assert tile.size == (400, 400)


def test_another_file_under_the_packages_name_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv('EQSSL_CACHE', str(tmp_path / 'cache'))

    def download(command, check):
        wheel(tmp_path / 'x.whl').rename(f'{command[-1]}/deepforest-2.1.0-py3-none-any.whl')

    monkeypatch.setattr(subprocess, 'run', download)
    with pytest.raises(UserError, match='treecrowns could not be fetched: deepforest.* has sha256'):
        tree_crowns.tree_crowns_folder()
    monkeypatch.setattr(tree_crowns, 'verify_digest', lambda *arguments: None)
    folder = tree_crowns.tree_crowns_folder()
    assert sorted(p.name for p in folder.iterdir()) == ['images', 'train.json', 'val.json']
    monkeypatch.setattr(subprocess, 'run', None)
    assert tree_crowns.tree_crowns_folder() == folder, 'the second time nothing is fetched'
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]
