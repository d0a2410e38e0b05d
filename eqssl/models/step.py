"""What heads and auxiliary tasks see of a training step: the same object for both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from eqssl.structures import Tokens, Views
from eqssl.utils.progress import Progress


@dataclass
class Selected:
    """The tokens of one network that a head reads, nothing that would be thrown away.

    Attributes:
        cls: size group -> ``[V * B, D]``, view-major.
        masked: ``[M, D]`` tokens at ``views.masks.index`` (padded), for heads with ``needs_masks``.
        patch: ``[V * B, N, D]`` all tokens of the masked group, for heads with ``needs_all_teacher_patches``.
    """

    cls: dict[str, Tensor]
    masked: Tensor | None = None
    patch: Tensor | None = None


def _absent(*_: Any) -> Tensor:
    raise RuntimeError('this step was made for a head alone')


@dataclass
class Step:
    """One step of one rank.

    Attributes:
        views: all views.
        student: the student's tokens for the head, through the neck's invariant part.
        teacher: the teacher's, without gradient; None without a teacher.
        teacher_projector: the teacher's copy of the head's projector; None without a teacher.
        progress: of the run.
        tokens: size group -> the student's tokens (of masked images, where the base method masks).
        equivariant: size group -> equivariant features ``[V * B, N, d_equi]``, computed when first asked for.
        embed: size group -> the base method's embeddings (of its invariant features) ``[V * B, E]``.
        encode: more normalized images ``[n, 3, S, S]`` -> the student's embeddings ``[n, E]``, in their own pass.
        target: the embeddings ``[V * B, E]`` of the head's group without gradient: the teacher's, or the student's own.
    """

    views: Views
    student: Selected
    teacher: Selected | None = None
    teacher_projector: Any = None
    progress: Progress = field(default_factory=Progress)
    tokens: dict[str, Tokens] = field(default_factory=dict)
    equivariant: Callable[[str], Tensor] = _absent
    embed: Callable[[str], Tensor] = _absent
    encode: Callable[[Tensor], Tensor] = _absent
    target: Callable[[], Tensor] = _absent
