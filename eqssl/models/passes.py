"""Which images go through a backbone together."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from eqssl.structures import Tokens


def _cat(parts: list[Tokens]) -> Tokens:
    if len(parts) == 1:
        return parts[0]
    blocks = {k: torch.cat([t.blocks[k] for t in parts]) for k in parts[0].blocks}
    return Tokens(torch.cat([t.cls for t in parts]), torch.cat([t.patch for t in parts]), blocks)


def _split(tokens: Tokens, sizes: list[int]) -> list[Tokens]:
    cls, patch = tokens.cls.split(sizes), tokens.patch.split(sizes)
    blocks = {k: v.split(sizes) for k, v in tokens.blocks.items()}
    return [Tokens(cls[i], patch[i], {k: v[i] for k, v in blocks.items()}) for i in range(len(sizes))]


def view_by_view(backbone: Any, crops: Tensor, views: int) -> Tokens:
    """One pass per view, so that batch norm sees them one by one (``BaseHead.separate_views``)."""
    return _cat(backbone(list(crops.chunk(views))))


def by_size(
    backbone: Any, crops: dict[str, Tensor], masks: dict[str, Tensor | None], blocks: tuple[int, ...]
) -> dict[str, Tokens]:
    """One pass per image size: groups of equal size go together (right without batch norm only).

    Args:
        backbone: see :class:`SSLPretrainer`.
        crops: group -> ``[n, 3, S, S]``.
        masks: group -> ``[n, N]`` bool or None.
        blocks: see the backbone.
    """
    sizes: dict[int, list[str]] = {}
    for name, images in crops.items():
        sizes.setdefault(images.shape[-1], []).append(name)
    inputs, joined = [], []
    for names in sizes.values():
        inputs.append(crops[names[0]] if len(names) == 1 else torch.cat([crops[n] for n in names]))
        known = next((m for m in (masks[n] for n in names) if m is not None), None)
        if known is None or len(names) == 1:
            joined.append(known)
        else:
            grids = [masks[n] for n in names]
            free = [known.new_zeros(len(crops[n]), known.shape[1]) for n in names]
            joined.append(torch.cat([f if g is None else g for f, g in zip(free, grids, strict=True)]))
    result: dict[str, Tokens] = {}
    for names, tokens in zip(sizes.values(), backbone(inputs, joined, blocks), strict=True):
        result.update(zip(names, _split(tokens, [len(crops[n]) for n in names]), strict=True))
    return {name: result[name] for name in crops}
