#!/usr/bin/env bash
# torch.compile's limit of recompilations is shared by every network whose blocks are of one class: the next network is not compiled.
#
# Expected: `block.compile(dynamic=False)` compiles a module. Two networks (a ViT-S and a ViT-L in one benchmark, a student and a
#   teacher, the trials of a sweep) are other modules with other weights, and each has its own compiled code and its own limit.
# What happens: the limit (8) is counted per code object, the forward of the class, over all of its instances. Each shape, width,
#   grad mode and "does the input need a gradient" (the first block's does not, the others' do) is an entry of the same list.
#   A network that has used it up leaves nothing to the next one, whose every call runs uncompiled; for the first one a
#   warning is printed, once; for the next one none, since the function has been told of already.
# Why it matters: timings of "compiled" networks measured one after the other in one process are those of uncompiled ones from some
#   network on, and say nothing of it. With multi-crop views (two sizes, student and teacher) one network takes six of the eight.
#   torch._dynamo.reset() between networks, or a higher torch._dynamo.config.recompile_limit, mends it.
# Source: torch 2.11.0, torch/_dynamo (config.py recompile_limit, cache_size.py: entries of one code object; convert_frame.py).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip -q install torch==2.11.0 numpy==2.2.6
cat > "$work/limit.py" <<'PY'
import logging

import torch
import torch._dynamo

SIZES = (2, 3, 4, 5, 6, 7)
ran, warned = [], []
logging.getLogger('torch._dynamo.convert_frame').addFilter(lambda record: warned.append(record.getMessage()))


class Block(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = torch.nn.Linear(width, width)

    def forward(self, x):
        return x + torch.relu(self.linear(x))


def backend(graph, inputs):
    def run(*values):
        ran.append(1)
        return graph(*values)

    return run


def compiled_calls(width):
    """How many of two blocks run compiled, for each size of a batch; and whether a limit was told of."""
    network = [Block(width) for _ in range(2)]
    for block in network:
        block.compile(dynamic=False, backend=backend)
    warned.clear()
    counts = []
    for size in SIZES:
        ran.clear()
        x = torch.randn(size, width)
        for block in network:
            x = block(x)
        counts.append(len(ran))
    return counts, any('recompile_limit' in text for text in warned)


print('torch', torch.__version__, 'limit', torch._dynamo.config.recompile_limit)
found = {'first network': compiled_calls(16), 'second network': compiled_calls(32)}
torch._dynamo.reset()
found['second network after a reset'] = compiled_calls(32)
for name, (counts, told) in found.items():
    print(f'{name}: compiled blocks at batch sizes {SIZES}: {counts}, told of the limit: {told}')
assert found['first network'] == ([2, 2, 2, 2, 0, 0], True), 'the first network has eight entries'
assert found['second network'] == ([0, 0, 0, 0, 0, 0], False), 'the second one has its own now, or is told'
assert found['second network after a reset'][0] == [2, 2, 2, 2, 0, 0]
print('as described')
PY
"$work/venv/bin/python" -W ignore "$work/limit.py" 2> "$work/stderr" || { cat "$work/stderr"; exit 1; }
