#!/usr/bin/env bash
# A boolean mask written by tifffile is read back inverted by Pillow and OpenCV, and as it was by tifffile.
#
# Expected: True is written as white, as every other array's largest value is; all readers agree.
# What happens: tifffile marks one-bit images "white is zero" (PhotometricInterpretation 0) but stores True as 1. Its own
#   reader ignores the mark and returns True; readers that follow the mark (Pillow, OpenCV through libtiff) return False.
# Why it matters: segmentation masks. A mask saved by one tool and loaded by another swaps object and background without an
#   error: training runs, and the IoU is that of the complement. photometric='minisblack' at writing avoids it.
# Source: tifffile's documentation of imwrite (photometric: "MINISWHITE is used for bilevel images"), TIFF 6.0, p. 37.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install tifffile==2026.3.3 imagecodecs==2026.3.6 pillow==13.0.0 opencv-python-headless==5.0.0.93 numpy==2.2.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import cv2, numpy as np, PIL, tifffile
from PIL import Image
mask = np.zeros((16, 24), bool)
mask[4:8, 6:12] = True
tifffile.imwrite('mask.tif', mask)
tifffile.imwrite('marked.tif', mask, photometric='minisblack')
print(f'tifffile {tifffile.__version__}, Pillow {PIL.__version__}, OpenCV {cv2.__version__}')
with tifffile.TiffFile('mask.tif') as file:
    print('photometric:', file.pages[0].photometric.name)
    assert file.pages[0].photometric.name == 'MINISWHITE'
seen = {}
for name in ('mask.tif', 'marked.tif'):
    seen[name] = [tifffile.imread(name), np.asarray(Image.open(name)), cv2.imread(name, cv2.IMREAD_UNCHANGED) > 0]
    print(name, 'true pixels by tifffile, Pillow, OpenCV:', *(int(x.sum()) for x in seen[name]), f'of {mask.size}')
by_tifffile, by_pillow, by_opencv = seen['mask.tif']
assert (by_tifffile == mask).all() and (by_pillow == ~mask).all() and (by_opencv == ~mask).all()
assert all((x == mask).all() for x in seen['marked.tif'])
print('as described')
PY
