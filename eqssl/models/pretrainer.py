"""The one algorithm class: base method (head), split (neck), any auxiliary tasks, on any backbone."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn as nn
from mmengine.model import BaseModel
from torch import Tensor

from eqssl.models.assembly import active_tasks, build, build_backbone, build_head, build_tasks, check_widths
from eqssl.models.auxiliary.base import AuxiliaryTask, ModelInfo
from eqssl.models.backbones.contract import describe
from eqssl.models.heads.base import BaseHead
from eqssl.models.layers import StatisticsGuard, commit_step, has_batch_norm
from eqssl.models.monitors import rankme, spread
from eqssl.models.necks import Neck
from eqssl.models.passes import by_size, view_by_view
from eqssl.models.step import Selected, Step
from eqssl.models.teacher import EMATeacher
from eqssl.registry import MODELS
from eqssl.structures import Tokens, Views
from eqssl.utils.errors import UserError, at_key
from eqssl.utils.progress import Progress
from eqssl.utils.randomness import own_stream


@MODELS.register_module()
class SSLPretrainer(BaseModel):
    """views -> backbone -> neck -> head (invariance) and auxiliary tasks (equivariance) -> dict of losses.

    A task with weight 0 is not built, and a neck that nobody then reads neither: what remains is the base method, bit
    for bit.

    Args:
        backbone: config or module: ``forward(groups, masks, blocks) -> list[Tokens]``, with ``embed_dims``; or any
            convolutional backbone of mmpretrain (``mmpretrain.ResNet``, ``mmpretrain.ResNet_CIFAR``, ...).
        head: config or module, a :class:`BaseHead`. ``in_channels`` is filled in where it is missing.
        neck: config or module that splits features (:class:`SplitNeck`), or None.
        auxiliary: name -> config of a task with its ``weight`` (default 1).
        data_preprocessor: config or module; default :class:`ViewAugmenter`.
        init_cfg: mmengine's.
        channels_last: keep the weights of convolutions, and so their maps, with channels innermost: the same results
            for the same weights within rounding, and less time where the kernels want that order (bfloat16 and
            float16). A seed draws other initial weights, for they are drawn in the order of the memory.
    """

    def __init__(
        self,
        backbone: dict | nn.Module,
        head: dict | nn.Module,
        neck: Any = None,
        auxiliary: dict[str, dict] | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
        channels_last: bool = False,
    ) -> None:
        super().__init__(build(data_preprocessor or {'type': 'eqssl.ViewAugmenter'}), init_cfg)
        self.backbone: Any = build_backbone(backbone)
        if channels_last:
            self.backbone.to(memory_format=torch.channels_last)
        self.progress = Progress()
        self.weights, configs = active_tasks(auxiliary or {})
        with own_stream('neck'):
            if isinstance(neck, dict):
                with at_key('model.neck'):
                    neck = MODELS.build({'in_channels': self.backbone.embed_dims, **neck})
        self.head: BaseHead = build_head(head, self.backbone, neck)
        tasks: dict[str, AuxiliaryTask] = build_tasks(configs)
        read = any(task.needs_equivariant for task in tasks.values())
        if neck is not None and not read and neck.head_makes_invariant:
            neck = None
        check_widths(self.backbone, self.head, neck)
        self.teacher: EMATeacher | None = None
        if self.head.needs_teacher:
            sees_neck = neck is not None and not neck.head_makes_invariant
            self.teacher = EMATeacher(self.backbone, self.head.projector, neck if sees_neck else None)
        self.neck: Neck | None = neck
        self.auxiliary = nn.ModuleDict()
        for name, task in tasks.items():
            with own_stream(name):
                self._add_task(name, task)
        mask_token = describe(self.backbone).mask_token
        if not self.head.needs_masks and mask_token is not None:
            mask_token.requires_grad_(False)
        ordered = sorted((task for _, task in self._tasks()), key=lambda task: task.changes_views)
        transforms = [task.transform_views for task in ordered]
        self.data_preprocessor.view_transforms = [*transforms, self.head.transform_views]
        self._batch_norm = has_batch_norm(self.backbone)
        self._apart = self.head.separate_views and self._batch_norm
        self._statistics = StatisticsGuard()
        self._last_features: Tensor | None = None

    def _add_task(self, name: str, task: AuxiliaryTask) -> None:
        if task.needs_equivariant and self.neck is None:
            raise UserError(
                f"model.auxiliary.{name} reads equivariant features; add neck=dict(type='eqssl.SplitNeck', "
                'out_channels=..., equi_dims=...)'
            )
        info = ModelInfo(
            equi_dims=None if self.neck is None else self.neck.equi_dims,
            embedding_dims=self.head.embedding_dims,
            normalize=self.data_preprocessor.normalize,
            backbone=self.backbone,
            **vars(describe(self.backbone)),
        )
        with at_key(f'model.auxiliary.{name}'):
            task.setup(name, info)
        self.auxiliary[name] = task

    def _tasks(self) -> list[tuple[str, AuxiliaryTask]]:
        return list(self.auxiliary.items())  # type: ignore[arg-type]

    def init_weights(self) -> None:
        """Initialize the student, then make the teacher equal to it."""
        super().init_weights()
        if self.teacher is not None:
            self.teacher.copy_from(self)

    def _dump_init_info(self) -> None:
        """mmengine would print one paragraph per parameter."""

    # -- modes ---------------------------------------------------------------------------------------------------

    def forward(self, views: Views | None = None, inputs: Tensor | None = None, mode: str = 'tensor') -> Any:
        """One of three modes.

        Args:
            views: of the data preprocessor, for 'loss'.
            inputs: normalized images ``[n, 3, S, S]``, for 'tensor' and 'predict'.
            mode: 'loss' (dict of device scalars), 'tensor' (:class:`Tokens`), 'predict' (dict of features: ``cls``
                ``[n, D]``, ``patch`` ``[n, N, D]`` and, with a neck, ``inv`` ``[n, I]``, ``equi`` ``[n, N, E]``).
        """
        if mode == 'loss':
            assert views is not None
            return self.loss(views)
        assert inputs is not None
        if mode == 'tensor':
            return self.backbone([inputs])[0]
        if mode == 'predict':
            return self.predict(inputs)
        raise ValueError(f"mode '{mode}' is none of 'loss', 'tensor', 'predict'")

    def encode(self, views: Views) -> Step:
        """The student's side of a step."""
        return self._step(views, self._tokens(views), Selected({}), None)

    def _tokens(self, views: Views) -> dict[str, Tokens]:
        """Student tokens of all size groups.

        One backbone call per image size; where the backbone has a batch norm, one per group, so that a task's views do
        not enter the base method's statistics, whose own views may go one by one (``BaseHead.separate_views``).
        """
        blocks = self.neck.blocks if self.neck is not None else ()
        if self._batch_norm:
            parts = {n: views.num_views[n] if self._apart and n not in views.extra else 1 for n in views.crops}
            return {n: view_by_view(self.backbone, x, parts[n]) for n, x in views.crops.items()}
        masks: dict[str, Tensor | None] = dict.fromkeys(views.crops)
        if self.head.needs_masks and views.masks is not None:
            masks[self.head.teacher_group] = views.masks.grid
        return by_size(self.backbone, views.crops, masks, blocks)

    def _step(self, views: Views, tokens: dict[str, Tokens], student: Selected, taught: Selected | None) -> Step:
        """What head and tasks see; the parts that are functions are computed when a task asks for them."""
        cache: dict[str, Tensor] = {}
        group, head = self.head.teacher_group, self.head

        def equivariant(name: str) -> Tensor:
            if name not in cache:
                assert self.neck is not None
                cache[name] = self.neck.equivariant(tokens[name].patch, tokens[name].blocks, head)
            return cache[name]

        def invariant(x: Tensor) -> Tensor:
            return x if self.neck is None else self.neck.invariant(x)

        def embed(name: str) -> Tensor:
            cls = invariant(tokens[name].cls)
            if name in views.extra:
                return head.embed(head.projector, cls)
            return head.by_view(lambda x: head.embed(head.projector, x), cls, views.num_views[name]).flatten(0, 1)

        def encode(images: Tensor) -> Tensor:
            return head.embed(head.projector, invariant(self.backbone([images])[0].cls))

        def target() -> Tensor:
            if self.teacher is None or taught is None:
                return embed(group).detach()
            projector = self.teacher.projector
            with torch.no_grad():
                return head.by_view(
                    lambda x: head.embed(projector, x), taught.cls[group], views.num_views[group]
                ).flatten(0, 1)

        projector = self.teacher.projector if self.teacher is not None else None
        return Step(views, student, taught, projector, self.progress, tokens, equivariant, embed, encode, target)

    def loss(self, views: Views) -> dict[str, Tensor]:
        """All losses and monitored values of one batch; nothing is read back to the host."""
        if self.head.needs_masks and views.masks is None:
            raise UserError(
                f'model.head {type(self.head).__name__} needs masks; add mask=dict(type=eqssl.PatchMask, ...) to '
                'train_dataloader.dataset'
            )
        if self.training:
            self._statistics.before_forward(self)
        tokens = self._tokens(views)
        student = self._select({n: t for n, t in tokens.items() if n not in views.extra}, views, self.neck)
        taught = self._teach(views) if self.teacher is not None else None
        step = self._step(views, tokens, student, taught)
        out, monitors = self.head.loss(step)
        features = student.cls[self.head.teacher_group].detach()
        monitors['feature_std'] = spread(features)
        self._last_features = features[: views.batch_size]
        for name, task in self._tasks():
            value, extra = task.loss(step)
            out[f'loss_{name}'] = self.weights[name](self.progress) * value
            monitors.update({f'{name}_{key}': item for key, item in extra.items()})
        out.update({key: value.detach() for key, value in monitors.items()})
        return out

    def _select(
        self, tokens: dict[str, Tokens], views: Views, neck: Neck | None, all_patches: bool = False
    ) -> Selected:
        """The tokens that the head reads, through the neck's invariant part."""

        def invariant(x: Tensor) -> Tensor:
            return x if neck is None else neck.invariant(x)

        chosen = Selected({name: invariant(t.cls) for name, t in tokens.items()})
        if self.head.needs_masks:
            patch = tokens[self.head.teacher_group].patch
            if all_patches:
                chosen.patch = invariant(patch)
            else:
                assert views.masks is not None
                chosen.masked = invariant(patch.flatten(0, 1)[views.masks.index])
        return chosen

    @torch.no_grad()
    def _teach(self, views: Views) -> Selected:
        """Teacher tokens of the unmasked crops of its group."""
        assert self.teacher is not None
        group = self.head.teacher_group
        if self._apart:
            tokens = {group: view_by_view(self.teacher.backbone, views.crops[group], views.num_views[group])}
        else:
            tokens = {group: self.teacher.backbone([views.crops[group]])[0]}
        return self._select(tokens, views, self.teacher.neck, self.head.needs_all_teacher_patches)

    def predict(self, inputs: Tensor, branch: str = 'student') -> dict[str, Tensor]:
        """Features of normalized images, see :meth:`forward`.

        ``inv`` is the base head's bottleneck or the neck's invariant part; ``equi`` always goes through the student's
        neck, for the teacher has none.

        Args:
            inputs: ``[n, 3, S, S]``.
            branch: 'student' or 'teacher' (the student where there is no teacher).
        """
        source: Any = self.teacher if branch == 'teacher' and self.teacher is not None else self
        projector = self.head.projector if source is self else source.projector
        blocks = self.neck.blocks if self.neck is not None else ()
        tokens: Tokens = source.backbone([inputs], None, blocks)[0]
        features = {'cls': tokens.cls, 'patch': tokens.patch}
        if self.neck is not None:
            features['equi'] = self.neck.equivariant(tokens.patch, tokens.blocks, self.head)
            if self.neck.head_makes_invariant:
                features['inv'] = self.head.embed(projector, tokens.cls)
            else:
                features['inv'] = self.neck.invariant(tokens.cls)
        return features

    # -- the step around it --------------------------------------------------------------------------------------

    def frozen_parameters(self) -> list[nn.Parameter]:
        """Parameters that take no gradient at the present progress (last layer of the head)."""
        return self.head.frozen_parameters(self.progress)

    def costly_monitors(self) -> dict[str, float]:
        """RankMe of the last batch's features (of its first view); reads the device, so only the logger asks for it."""
        if self._last_features is None:
            return {}
        features = self._last_features.float()
        return {'rankme': rankme(features) if bool(torch.isfinite(features).all()) else math.nan}

    def after_step(self, finite: Tensor | None) -> None:
        """Called once per real optimizer step: the teacher follows, centers and queues move.

        Args:
            finite: device bool, False where the step was skipped for a non-finite gradient.
        """
        if self.teacher is not None:
            self.teacher.update(self, self.head.ema()(self.progress), finite)
        commit_step(self, finite)
