"""Contrastive losses with the negatives of all ranks; logits are local x global, in float32."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from eqssl.utils import dist
from eqssl.utils.precision import precise


def _own_rows(count: int, device: torch.device) -> Tensor:
    """Where this rank's ``count`` samples lie among those of all ranks."""
    return dist.rank() * count + torch.arange(count, device=device)


def _against_all(embeddings: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Similarities of local anchors to the embeddings of all ranks.

    Args:
        embeddings: ``[V, B, D]``.
        temperature: > 0.

    Returns:
        ``[V, B, V, W * B]`` logits with -inf at each anchor itself; ``[B]`` places of the own samples among ``W * B``.
    """
    z = F.normalize(precise(embeddings), dim=-1)
    everyone = dist.gather_with_gradient(z.transpose(0, 1).contiguous())  # [W * B, V, D]
    logits = torch.einsum('vbd,nwd->vbwn', z, everyone) / temperature
    own = _own_rows(z.shape[1], z.device)
    itself = (own[:, None] == torch.arange(len(everyone), device=z.device))[None, :, None, :]
    same_view = torch.eye(len(z), dtype=torch.bool, device=z.device)[:, None, :, None]
    return logits.masked_fill(itself & same_view, -torch.inf), own


def nt_xent(embeddings: Tensor, temperature: float, classes: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """NT-Xent (SimCLR, Chen et al. 2020, eq. 1): each of 2 B anchors against its positive and all other embeddings.

    Args:
        embeddings: ``[2, B, D]`` of this rank, not normalized.
        temperature: tau.
        classes: ``[B]``, -1 where unknown: other images of an anchor's class are left out of its negatives, without
            becoming positives (EffSSL's analysis of false negatives).

    Returns:
        the mean over this rank's anchors, and the share of anchors whose positive is the nearest (no gradient).
    """
    logits, own = _against_all(embeddings, temperature)
    if classes is not None:
        everyone = dist.gather(classes)
        other = own[:, None] != torch.arange(len(everyone), device=own.device)
        false = (classes[:, None] == everyone[None]) & (classes >= 0)[:, None] & other
        logits = logits.masked_fill(false[None, :, None, :], -torch.inf)
    count = logits.shape[-1]
    target = torch.stack([own + count, own])  # the other view's column
    flat, target = logits.flatten(2).flatten(0, 1), target.flatten()
    return F.cross_entropy(flat, target), (flat.detach().argmax(1) == target).float().mean()


def info_nce(queries: Tensor, keys: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """InfoNCE of queries against the keys of all ranks (MoCo v3, Chen et al. 2021, algorithm 1), without its 2 tau.

    Args:
        queries: ``[B, D]`` of this rank, not normalized.
        keys: ``[B, D]`` of this rank, row by row the positives; no gradient flows into them.
        temperature: tau.

    Returns:
        the mean over this rank's queries, and the share of queries whose own key is the nearest (no gradient).
    """
    everyone = dist.gather(F.normalize(precise(keys.detach()), dim=-1))
    logits = F.normalize(precise(queries), dim=-1) @ everyone.T / temperature
    own = _own_rows(len(queries), queries.device)
    return F.cross_entropy(logits, own), (logits.detach().argmax(1) == own).float().mean()


def supervised_contrastive(embeddings: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """L_out of SupCon (Khosla et al. 2020, eq. 2): all embeddings of an anchor's class are its positives.

    With two views and all labels different this is NT-Xent; an anchor without a positive contributes 0. The official
    code multiplies by temperature / base_temperature.

    Args:
        embeddings: ``[V, B, D]`` of this rank, not normalized.
        labels: ``[B]``.
        temperature: tau.

    Returns:
        the mean over this rank's anchors.
    """
    logits, _ = _against_all(embeddings, temperature)
    everyone = dist.gather(labels)
    positive = (labels[:, None] == everyone[None])[None, :, None, :].expand(logits.shape)
    positive = positive & logits.isfinite()  # not the anchor itself
    log_p = logits - torch.logsumexp(logits.flatten(2), dim=2)[..., None, None]
    total = torch.where(positive, log_p, 0.0).sum((2, 3))
    return -(total / positive.sum((2, 3)).clamp(min=1)).mean()
