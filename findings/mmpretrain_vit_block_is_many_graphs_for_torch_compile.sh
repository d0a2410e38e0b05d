#!/usr/bin/env bash
# mmpretrain's ViT blocks do not compile into one graph each, and are compiled anew for other probabilities of drop path.
#
# Expected: the blocks of a ViT have one code and one shape, so that torch.compile on each block makes one graph that all of them
#   share, and fullgraph=True works: a pre-norm attention and an MLP hold nothing that a tracer cannot follow.
# What happens: (1) mmcv's FFN.forward is wrapped for deprecated argument names, and the wrapper inspects the signature of the
#   function in every call: a graph break inside every block (fullgraph=True raises). (2) mmcv's DropPath branches on a
#   Python float; the linear rule gives every block another one, and from the second block on torch treats it as a value that it
#   does not know while compiling: the branch is one more break, in both branches of the block. 12 blocks of a ViT are cut
#   into pieces, so that norms, activations and additions are not fused across them, which is what compiling is for.
#   (3) Under bfloat16 autocast that DropPath draws in bfloat16: what is kept is divided by the exact share but chosen by
#   a rounded sum, and with a drop probability of 0.001 nothing is ever dropped.
# Why it matters: `compile=True` of mmengine's Runner and `block.compile()` by hand look as if they worked: nothing warns of the cuts.
#   A block with a forward of its own on the same parameters is one graph for every probability.
# Source: onedl-mmcv 2.3.6 (mmcv/cnn/bricks/transformer.py FFN, drop.py), onedl-mmengine 0.10.12 (utils/misc.py
#   deprecated_api_warning), onedl-mmpretrain 1.3.6, torch 2.11.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
pip() { "$work/venv/bin/python" -m pip -q "$@"; }
pip install torch==2.11.0 torchvision==0.26.0 numpy==2.2.6 setuptools==80.9.0 wheel addict==2.4.0 einops mat4py model-index \
    opencv-python-headless packaging pillow pyyaml rich termcolor yapf matplotlib importlib-metadata platformdirs
MMCV_WITH_OPS=0 pip install --no-deps --no-build-isolation onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmpretrain==1.3.6
"$work/venv/bin/python" -W ignore - <<'PY'
import importlib.metadata as meta

import torch
from mmcv.cnn.bricks.drop import drop_path
from mmpretrain.models import VisionTransformer
from torch._dynamo.testing import CompileCounter

print(*(f'{name} {meta.version(name)}' for name in ('torch', 'onedl-mmcv', 'onedl-mmengine', 'onedl-mmpretrain')), sep=', ')
arch = dict(embed_dims=16, num_layers=6, num_heads=2, feedforward_channels=32)


def graphs(rate, **options):
    torch._dynamo.reset()
    model = VisionTransformer(arch=arch, img_size=16, patch_size=8, drop_path_rate=rate)
    torch.nn.Module.train(model)
    counter = CompileCounter()
    for block in model.layers:
        block.compile(backend=counter, dynamic=False, **options)
    for _ in range(3):
        model(torch.rand(2, 3, 16, 16))
    return counter.frame_count


same, rising = graphs(0.0), graphs(0.3)
print(f'six blocks, one shape, no drop path: {same} graphs; drop path from 0 to 0.3: {rising} graphs')
try:
    graphs(0.0, fullgraph=True)
    whole = True
except Exception as error:
    whole = False
    print('fullgraph=True:', type(error).__name__)
torch.manual_seed(0)
ones = torch.ones(200000, 1)
dropped = {str(t.dtype): float((drop_path(t, 0.001, True) == 0).float().mean()) for t in (ones, ones.bfloat16())}
print('share of samples that a drop probability of 0.001 drops:', dropped)
assert same > 1 and rising > same and not whole
assert 5e-4 < dropped['torch.float32'] < 2e-3 and dropped['torch.bfloat16'] == 0
print('as described')
PY
