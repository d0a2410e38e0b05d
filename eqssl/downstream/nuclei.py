"""The embedded nuclei: one real microscopy image with 125 outlined nuclei, as files that mmseg and mmdet read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from eqssl.datasets.fetch import made_once
from eqssl.registry import NAMED_DATA
from eqssl.utils.places import shipped

SOURCE = shipped('demo', 'nuclei.npz')
TILE = 128
VERSION = 1


def polygons(mask: np.ndarray) -> list[list[float]]:
    """Outlines of a binary mask as COCO has them, ``[x0, y0, x1, y1, ...]`` each."""
    import cv2

    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [contour.flatten().astype(float).tolist() for contour in found if len(contour) > 2]


def instances(labels: np.ndarray, image: int, first: int) -> list[dict]:
    """COCO annotations of the nuclei in a tile; slivers under 12 pixels, cut off by the tile's edge, are left out."""
    annotations: list[dict] = []
    for number in np.unique(labels[labels > 0]):
        mask = labels == number
        rows, columns = np.nonzero(mask)
        outline = polygons(mask)
        if mask.sum() < 12 or not outline:
            continue
        x, y = int(columns.min()), int(rows.min())
        annotations.append(
            {
                'id': first + len(annotations),
                'image_id': image,
                'category_id': 1,
                'bbox': [x, y, int(columns.max()) - x + 1, int(rows.max()) - y + 1],
                'area': int(mask.sum()),
                'segmentation': outline,
                'iscrowd': 0,
            }
        )
    return annotations


def write_nuclei(folder: Path) -> None:
    """16 tiles of 128 px: the three upper rows for training, the lowest for validation.

    Writes ``images/{train,val}``, ``masks/{train,val}`` (0 background, 1 nucleus) and ``{train,val}.json`` (COCO).
    """
    with np.load(SOURCE) as arrays:
        image, labels = arrays['image'], arrays['labels']
    for split, rows in (('train', (0, 1, 2)), ('val', (3,))):
        coco: dict[str, list] = {'images': [], 'annotations': [], 'categories': [{'id': 1, 'name': 'nucleus'}]}
        for kind in ('images', 'masks'):
            (folder / kind / split).mkdir(parents=True)
        for row in rows:
            for column in range(4):
                part = np.s_[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
                number, name = row * 4 + column + 1, f'{row}{column}.png'
                Image.fromarray(image[part]).convert('RGB').save(folder / 'images' / split / name)
                Image.fromarray((labels[part] > 0).astype(np.uint8)).save(folder / 'masks' / split / name)
                coco['images'].append({'id': number, 'file_name': name, 'width': TILE, 'height': TILE})
                coco['annotations'] += instances(labels[part], number, len(coco['annotations']) + 1)
        (folder / f'{split}.json').write_text(json.dumps(coco), encoding='utf-8')


def nuclei_folder() -> Path:
    """The files in the cache, made at the first call."""
    return made_once(f'nuclei-{VERSION}', write_nuclei)


NAMED_DATA['nuclei'] = nuclei_folder
