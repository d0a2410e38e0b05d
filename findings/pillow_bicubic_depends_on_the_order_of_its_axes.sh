#!/usr/bin/env bash
# Pillow's bicubic resize of an 8-bit image is not the same for an image and its transpose, nor near the exact result.
#
# Expected: bicubic resampling is separable and linear: resizing the transposed image gives the transposed result, and both lie
#   within one gray level of the exact (floating point) result, clipped at the end.
# What happens: Pillow resizes the rows, rounds and CLIPS to 0..255, then resizes the columns. Bicubic weights are negative at the
#   sides, so that the first pass overshoots at edges near black or white; what is clipped there is missing in the second. An
#   image with saturated areas differs from the exact result, and from its own transposed twin, by more than ten levels at
#   single pixels. In mode 'F' (float) the same call is exact.
# Why it matters: evaluation transforms of published checkpoints are Pillow's; a port to another library that is exact
#   does not match at bright and dark edges (to convert to float before or after resizing is no detail), and a test of
#   equivariance to quarter turns measures the resize as well. A port matches only if it clips between the passes too.
# Source: pillow 13.0.0, src/libImaging/Resample.c (ImagingResampleInner: horizontal pass into an 8-bit image, clip8, then
#   vertical pass; the 32-bit pass does not clip).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install numpy==2.2.6 pillow==13.0.0
"$work/venv/bin/python" - <<'PY'
import importlib.metadata as meta

import numpy as np
from PIL import Image

rng = np.random.default_rng(0)
image = (255 * (rng.random((24, 24)) > 0.5)).repeat(4, 0).repeat(4, 1).astype(np.uint8)  # black and white squares


def bicubic(pixels):
    return np.asarray(Image.fromarray(pixels).resize((60, 60), Image.Resampling.BICUBIC)).astype(float)


def exact(pixels):
    return bicubic(pixels.astype(np.float32)).round().clip(0, 255)


turned = np.ascontiguousarray(image.T)
gap = {
    '8 bits, image against its transpose': np.abs(bicubic(image) - bicubic(turned).T).max(),
    '8 bits against float': np.abs(bicubic(image) - exact(image)).max(),
    'float, image against its transpose': np.abs(exact(image) - exact(turned).T).max(),
}
print('pillow', meta.version('pillow'), 'numpy', meta.version('numpy'))
for name, value in gap.items():
    print(f'{name}: {value:.0f} gray levels at most')
assert list(gap.values())[2] <= 1 and min(list(gap.values())[:2]) > 8
print('as described')
PY
