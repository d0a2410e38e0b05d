#!/usr/bin/env bash
# transformers 5: model.state_dict() and save_pretrained() of one ViT name most of their tensors differently.
#
# Expected: the names in memory are those in the file, as in every other library and in transformers 4: whoever writes
#   torch.save(model.state_dict()) can read it wherever the published files are read.
# What happens: the modules were renamed (attention.q_proj, mlp.fc1, layers.0), and save_pretrained and from_pretrained translate
#   from and to the published names (encoder.layer.0.attention.attention.query, intermediate.dense) on the way. A
#   state dict that did not go through them has names that no table made from published files knows.
# Why it matters: converters, strict loaders and exports are written against the names of files on the hub; a training script
#   that stores state_dict() (as most do) now writes something else, and a non-strict loader takes almost nothing of it.
# Source: transformers 5.23.0, models/vit and models/dinov2; the mapping is applied in modeling_utils at saving and loading.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install torch==2.11.0 transformers==5.23.0 safetensors==0.8.0 numpy==2.2.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import torch, transformers
from safetensors.torch import load_file
print(f'transformers {transformers.__version__}, torch {torch.__version__}')
sizes = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8)
for kind, shared, example in (
    ('ViT', 8, ('layers.0.attention.q_proj.weight', 'encoder.layer.0.attention.attention.query.weight')),
    ('Dinov2', 27, ('encoder.layer.0.attention.q_proj.weight', 'encoder.layer.0.attention.attention.query.weight')),
):
    model = getattr(transformers, f'{kind}Model')(getattr(transformers, f'{kind}Config')(**sizes))
    model.save_pretrained(kind)
    memory, file = model.state_dict(), load_file(f'{kind}/model.safetensors')
    both = sorted(set(memory) & set(file))
    print(f'{kind}: {len(memory)} tensors in memory, {len(file)} in the file, {len(both)} with one name')
    assert len(memory) == len(file) and len(both) == shared, len(both)
    assert example[0] in memory and example[0] not in file and example[1] in file and example[1] not in memory
    assert torch.equal(memory[example[0]], file[example[1]])
print('as described')
PY
