#!/usr/bin/env bash
# mmseg's aAcc and mAcc are 100 although half of the ground truth belongs to a class that the data set does not have.
#
# Expected: a label beyond the classes (a mask with value 7 where there are 3 classes, and 255 is ignored) is an error, as it is
#   in the loss; at least it counts as not found.
# What happens: IoUMetric counts with torch.histc over 0 ... classes - 1, which drops what lies outside. The pixels leave the
#   denominators of aAcc and mAcc, but predictions there still count as false positives in IoU: the three numbers
#   of one run disagree, and none says why.
# Why it matters: a validation set with one class more than the training set (or reduce_zero_label forgotten) reports a high
#   accuracy on the rest; checkpoints are chosen by it. Check masks against the classes before the run.
# Source: onedl-mmsegmentation 1.4.2, mmseg/evaluation/metrics/iou_metric.py, intersect_and_union.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
pip="$work/venv/bin/pip -q install"
$pip torch==2.11.0 torchvision==0.26.0 numpy==2.2.6 "setuptools<81" wheel opencv-python-headless==5.0.0.93 addict pyyaml termcolor yapf \
    rich matplotlib prettytable scipy ftfy regex packaging pillow==13.0.0
$pip --no-deps onedl-mmengine==0.10.12 onedl-mmsegmentation==1.4.2
MMCV_WITH_OPS=0 $pip --no-deps --no-build-isolation onedl-mmcv==2.3.6
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PY'
import importlib.metadata as meta
import torch
from mmseg.evaluation import IoUMetric

def measure(label, prediction):
    metric = IoUMetric(iou_metrics=['mIoU'])
    metric.dataset_meta = dict(classes=('a', 'b', 'c'))
    sample = dict(pred_sem_seg=dict(data=prediction[None]), gt_sem_seg=dict(data=label[None]))
    metric.process({}, [sample])
    return {name: float(value) for name, value in metric.evaluate(1).items()}

print('onedl-mmsegmentation', meta.version('onedl-mmsegmentation'), 'torch', torch.__version__)
prediction = torch.zeros(10, 10, dtype=torch.long)
prediction[:, 5:] = 1
label = prediction.clone()
label[5:] = 7  # a class that does not exist
whole, beyond = measure(prediction, prediction), measure(label, prediction)
print('labels within the classes:', whole)
print('half of them beyond:      ', beyond)
assert whole == {'aAcc': 100.0, 'mIoU': 100.0, 'mAcc': 100.0}
assert beyond == {'aAcc': 100.0, 'mIoU': 50.0, 'mAcc': 100.0}
print('as described')
PY
