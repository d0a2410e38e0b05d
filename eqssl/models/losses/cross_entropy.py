"""Self-distillation cross-entropies of DINO and iBOT; all in float32."""

from __future__ import annotations

import torch
from torch import Tensor

from eqssl.utils.precision import precise


def teacher_probabilities(logits: Tensor, center: Tensor, temperature: float) -> Tensor:
    """Centered and sharpened teacher output, softmax((logits - center) / temperature) in float32.

    Args:
        logits: ``[..., K]``.
        center: ``[K]``.
        temperature: > 0.
    """
    return torch.softmax((precise(logits) - center) / temperature, dim=-1)


def cls_cross_entropy(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Mean over all pairs (teacher view g, student view v != g) of the cross-entropy (DINO, eq. 3).

    The first G student views are the teacher's views. The sum over v of H(q_g, p_v) is linear in log p, so the
    pairs are one contraction instead of a double loop.

    Args:
        student: logits ``[V, B, K]``.
        teacher: probabilities ``[G, B, K]``, G <= V.
        temperature: of the student.
    """
    views, batch = student.shape[:2]
    num_teacher = teacher.shape[0]
    log_p = torch.log_softmax(precise(student) / temperature, dim=-1)
    pairs = num_teacher * views - num_teacher
    total = -torch.einsum('bk,bk->', teacher.sum(0), log_p.sum(0))
    own = -torch.einsum('gbk,gbk->', teacher, log_p[:num_teacher])
    return (total - own) / (pairs * batch)


def patch_cross_entropy(student: Tensor, teacher: Tensor, weight: Tensor, temperature: float, images: int) -> Tensor:
    """Cross-entropy on masked patches: mean per view, then over all views (iBOT, eq. 2; views without a mask count 0).

    Args:
        student: logits ``[M, K]`` of the masked patches.
        teacher: probabilities ``[M, K]`` at the same places.
        weight: ``[M]``, 1 / (masked patches of the view), 0 for padding.
        temperature: of the student.
        images: number of views, V * B.
    """
    log_p = torch.log_softmax(precise(student) / temperature, dim=-1)
    return -torch.einsum('m,mk,mk->', weight.to(log_p.dtype), teacher, log_p) / images
