"""Finds backbones in checkpoint files, whoever wrote them, and gives their tensors mmpretrain's names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from eqssl.checkpoint.store import read_checkpoint
from eqssl.config.text import read_config_text
from eqssl.downstream.key_maps import BESIDE, FAMILIES, RESNET_KEY, Family, fuse_qkv, translate
from eqssl.utils.errors import UserError

TEACHER = re.compile(r'teacher|momentum|target|encoder_k|ema\b|ema_')
STUDENT = re.compile(r'student|online|encoder_q')
DEPTH = 3  # of dicts within dicts


@dataclass(frozen=True)
class FoundBackbone:
    """One backbone of a file.

    Attributes:
        place: where it stands, e.g. ``state_dict: teacher.backbone.``.
        family: naming scheme.
        state: its tensors under mmpretrain's names.
        unknown: names of tensors that the family does not have and that are no head's or decoder's.
        config: of the backbone, where the file holds one.
        swapped: the file is of mmengine's EMA hook, which stores the average as ``state_dict`` and the network itself
            as ``ema_state_dict``.
    """

    place: str
    family: Family
    state: dict[str, Tensor]
    unknown: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    swapped: bool = False

    @property
    def branch(self) -> str | None:
        """'teacher' or 'student' as its place says, None where it says neither."""
        if self.swapped:
            return 'student' if self.place.startswith('ema_state_dict') else 'teacher'
        if TEACHER.search(self.place):
            return 'teacher'
        return 'student' if STUDENT.search(self.place) else None

    @property
    def heads(self) -> int | None:
        """Attention heads, which no shape tells; None where the file does not say."""
        from mmpretrain.models import VisionTransformer

        arch = self.config.get('arch')
        settings = arch if isinstance(arch, dict) else VisionTransformer.arch_zoo.get(str(arch).lower(), {})
        return settings.get('num_heads')

    @property
    def grid(self) -> tuple[int, int] | None:
        """Rows and columns of patches; None where the file does not say."""
        size, patch = self.config.get('img_size'), self.config.get('patch_size', 16)
        height, width = size if isinstance(size, (list, tuple)) and len(size) == 2 else (size, size)
        if not all(isinstance(value, int) and value > 0 for value in (height, width, patch)):
            return None
        return height // patch, width // patch


def _containers(value: object, place: str = '', depth: int = 0) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Every dict of tensors in a checkpoint, with the keys that lead to it."""
    if not isinstance(value, dict):
        return
    tensors = {k: v for k, v in value.items() if isinstance(k, str) and isinstance(v, Tensor)}
    if tensors:
        yield place, tensors
    if depth < DEPTH:
        for key, item in value.items():
            if key not in ('optimizer', 'optim_state'):
                yield from _containers(item, f'{place}{key}: ', depth + 1)


def _named_as_mmpretrain(state: dict[str, Tensor], family: Family) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """A backbone's tensors (prefix removed) under mmpretrain's names, and the names that mean nothing here."""
    if family.kind == 'ResNet':
        found = {k: v for k, v in state.items() if RESNET_KEY.match(k)}
        return found, tuple(k for k in state if k not in found and not BESIDE.match(k))
    plain = {re.sub(r'^blocks\.\d+\.(\d+\.)', r'blocks.\1', k): v for k, v in state.items()}  # DINOv2's chunks
    if any(key.startswith('decoder_') for key in plain):
        plain.pop('mask_token', None)  # MAE's belongs to the decoder
    named, unknown = {}, []
    for key, value in fuse_qkv(plain).items():
        name = translate(key, family.pairs)
        if name is not None:
            named[name] = value
        elif not BESIDE.match(key):
            unknown.append(key)
    return named, tuple(unknown)


def backbone_config(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """The backbone's config that mmengine and our exports store beside the tensors; empty where nothing is known."""
    meta = checkpoint.get('meta')
    if not isinstance(meta, dict):
        return {}
    try:
        if isinstance(meta.get('backbone'), str):
            config = read_config_text(f'backbone = {meta["backbone"]}')['backbone']
        else:
            config = read_config_text(meta['cfg'])['model']['backbone']
    except (UserError, KeyError, TypeError):  # not plain data, or no such backbone
        return {}
    return config if isinstance(config, dict) else {}


def find_backbones(checkpoint: dict[str, Any]) -> list[FoundBackbone]:
    """All backbones of a checkpoint, in the order in which they stand there."""
    found = []
    config, swapped = backbone_config(checkpoint), {'state_dict', 'ema_state_dict'} <= set(checkpoint)
    for place, tensors in _containers(checkpoint):
        for family in FAMILIES:
            for key in tensors:
                if key != family.anchor and not key.endswith('.' + family.anchor):
                    continue
                prefix = key[: -len(family.anchor)]
                state = {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
                if family.telltale and not any(family.telltale in k for k in state):
                    continue
                named = _named_as_mmpretrain(state, family)
                found.append(FoundBackbone(place + prefix, family, *named, config, swapped))
    return found


def choose(found: list[FoundBackbone], branch: str | None, source: str) -> FoundBackbone:
    """The backbone of a branch.

    Args:
        found: backbones of a file.
        branch: 'teacher', 'student' or None (the teacher where there is one).
        source: the file, for messages.

    Raises:
        UserError: none, or no such branch.
    """
    if not found:
        raise UserError(
            f"checkpoint '{source}' holds no backbone that is known here (ViT of mmpretrain, DINO, iBOT, DINOv2, MAE, "
            'timm, torchvision or transformers; ResNet): no key ends like theirs'
        )
    first = {f.branch: f for f in reversed(found)}
    single = [f.branch for f in found].count(None) == 1  # a network without branches is its own teacher
    orders = {
        'teacher': ('teacher', None) if single else ('teacher',),
        'student': ('student', None),
        None: ('teacher', None, 'student'),
    }
    for name in orders[branch]:
        if name in first:
            return first[name]
    places = ', '.join(f"'{f.place or 'top level'}' ({f.branch or 'no branch'})" for f in found)
    raise UserError(f"checkpoint '{source}' has no {branch} backbone; it has {places}; set branch accordingly")


def read_backbone(path: str | Path, branch: str | None = None) -> FoundBackbone:
    """The backbone of a checkpoint file; nothing in the file is executed.

    Args:
        path: a ``.pth``/``.pt`` file or a ``.safetensors`` file.
        branch: see :func:`choose`.

    Raises:
        UserError: the file cannot be read as data, or holds no such backbone.
    """
    return choose(find_backbones(read_file(path)), branch, str(path))


def read_file(path: str | Path) -> dict[str, Any]:
    """Tensors and plain values of a checkpoint file.

    Raises:
        UserError: no such file, damaged, or with code in it.
    """
    if Path(path).suffix != '.safetensors':
        return read_checkpoint(path, leave_out=True)
    if not Path(path).is_file():
        raise UserError(f"checkpoint '{path}' {'is a folder' if Path(path).is_dir() else 'does not exist'}")
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise UserError(f"checkpoint '{path}' needs the package safetensors: pip install safetensors") from error
    try:
        return load_file(str(path))
    except SafetensorError as error:
        raise UserError(f"checkpoint '{path}' is not a safetensors file or is truncated ({error})") from error
