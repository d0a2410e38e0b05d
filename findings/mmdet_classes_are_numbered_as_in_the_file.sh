#!/usr/bin/env bash
# mmdet numbers a COCO data set's classes in the order of the annotation file, and names them in the order of the config.
#
# Expected: metainfo=dict(classes=('dog', 'cat')) makes dog class 0 and cat class 1 (the order that heads, palettes and
#   visualizers use), or says that the order does not fit.
# What happens: the categories are looked up by name, but come back in the file's order: every cat is trained as 0 and shown,
#   evaluated and exported as 'dog'. A class that the file does not name is dropped in silence and shifts all numbers
#   behind it, so that one validation file with fewer categories than the training file is numbered otherwise.
# Why it matters: losses fall and mAP is right (it uses the same numbers); only the names are wrong, in per-class tables, in
#   predictions and in whatever is built on them.
# Source: onedl-mmdetection 3.5.1, mmdet/datasets/coco.py (get_cat_ids, cat2label); pycocotools 2.0.11, COCO.getCatIds.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
pip="$work/venv/bin/pip -q install"
$pip torch==2.11.0 torchvision==0.26.0 numpy==2.2.6 "setuptools<81" wheel opencv-python-headless==5.0.0.93 addict pyyaml termcolor yapf \
    rich matplotlib pillow==13.0.0 packaging pycocotools==2.0.11 scipy shapely six terminaltables tqdm scikit-image imageio
$pip --no-deps onedl-mmengine==0.10.12 onedl-mmdetection==3.5.1 imaug==0.4.3
MMCV_WITH_OPS=0 $pip --no-deps --no-build-isolation onedl-mmcv==2.3.6
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PY'
import importlib.metadata as meta
import json
from mmdet.datasets import CocoDataset

def box(number, image, category):
    return dict(id=number, image_id=image, category_id=category, bbox=[1, 1, 5, 5], area=25, iscrowd=0)

images = [dict(id=i, file_name=f'{i}.jpg', width=20, height=20) for i in (1, 2)]
content = dict(images=images, annotations=[box(1, 1, 7), box(2, 2, 9)], categories=[dict(id=7, name='cat'), dict(id=9, name='dog')])
open('a.json', 'w').write(json.dumps(content))

def numbers(*classes):
    data = CocoDataset(ann_file='a.json', metainfo=dict(classes=classes), data_prefix=dict(img=''), pipeline=[])
    labels = [[b['bbox_label'] for b in data.get_data_info(i)['instances']] for i in range(len(data))]
    return [[classes[label] for label in image] for image in labels]

print('onedl-mmdetection', meta.version('onedl-mmdetection'), '; image 1 shows a cat, image 2 a dog')
found = {classes: numbers(*classes) for classes in (('cat', 'dog'), ('dog', 'cat'), ('bird', 'dog'))}
for classes, names in found.items():
    print(f'classes={classes}: annotations are called {names}')
assert found['cat', 'dog'] == [['cat'], ['dog']]
assert found['dog', 'cat'] == [['dog'], ['cat']], 'swapped'
assert found['bird', 'dog'] == [[], ['bird']], 'a dog is a bird'
print('as described')
PY
