#!/usr/bin/env bash
# Pillow's bicubic resize of an 8-bit image is not the same for an image and its transpose, nor near the exact result.
#
# Expected: bicubic resampling is separable and linear: resizing the transposed image gives the transposed result, and both lie
#   within one gray level of the exact (floating point) result, clipped at the end.
# What happens: Pillow resizes the rows, rounds and CLIPS to 0..255, then resizes the columns. Bicubic weights are negative at the
#   sides, so that the first pass overshoots at edges near black or white; what is clipped there is missing in the second. An
#   image with saturated areas differs from the exact result, and from its own transposed twin, by more than ten levels at
#   single pixels. torchvision's antialiased bicubic on uint8 tensors does the same as Pillow; on float tensors it is exact.
# Why it matters: evaluation transforms of published checkpoints are Pillow's; a port to another library that is exact
#   does not match at bright and dark edges (to convert to float before or after resizing is no detail), and a test of
#   equivariance to quarter turns measures the resize as well. A port matches only if it clips between the passes too.
# Source: pillow 13.0.0, src/libImaging/Resample.c (ImagingResampleInner: horizontal pass into an 8-bit image, clip8, then
#   vertical pass); torchvision 0.26.0, transforms/v2/functional/_geometry.py; torch 2.11.0, F.interpolate(antialias=True).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install torch==2.11.0 torchvision==0.26.0 numpy==2.2.6 pillow==13.0.0
"$work/venv/bin/python" -W ignore - <<'PY'
import importlib.metadata as meta

import numpy as np
import torch
from PIL import Image
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import resize

rng = np.random.default_rng(0)
image = (255 * (rng.random((24, 24, 3)) > 0.5)).repeat(4, 0).repeat(4, 1).astype(np.uint8)  # black and white squares

def pillow(pixels):
    return np.asarray(Image.fromarray(pixels).resize((60, 60), Image.Resampling.BICUBIC)).astype(float)

def exact(pixels, dtype=torch.float64):
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].to(dtype)
    y = torch.nn.functional.interpolate(x, size=(60, 60), mode='bicubic', antialias=True)
    return y.round().clamp(0, 255)[0].permute(1, 2, 0).numpy()

def tensor(pixels):
    y = resize(torch.from_numpy(pixels).permute(2, 0, 1), [60, 60], InterpolationMode.BICUBIC, antialias=True)
    return y.permute(1, 2, 0).numpy().astype(float)

turned = np.ascontiguousarray(image.transpose(1, 0, 2))
gap = {
    'Pillow, image against its transpose': np.abs(pillow(image) - pillow(turned).transpose(1, 0, 2)).max(),
    'Pillow against exact': np.abs(pillow(image) - exact(image)).max(),
    'torchvision on uint8 against Pillow': np.abs(tensor(image) - pillow(image)).max(),
    'torchvision on uint8 against exact': np.abs(tensor(image) - exact(image)).max(),
    'torchvision on float against exact': np.abs(tensor(image.astype(np.float32)).round().clip(0, 255) - exact(image)).max(),
    'exact, image against its transpose': np.abs(exact(image) - exact(turned).transpose(1, 0, 2)).max(),
}
print(*(f'{name} {meta.version(name)}' for name in ('pillow', 'torch', 'torchvision')))
for name, value in gap.items():
    print(f'{name}: {value:.0f} gray levels at most')
near = ('torchvision on uint8 against Pillow', 'torchvision on float against exact', 'exact, image against its transpose')
assert all(value <= 1 if name in near else value > 8 for name, value in gap.items())
print('as described')
PY
