"""Linear classification on frozen features: one pass over them trains a head for every learning rate."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from eqssl.evaluation.feature_store import FeatureStore
from eqssl.evaluation.regression import standardize
from eqssl.evaluation.task import LabelledTask, binomial_error
from eqssl.registry import EVALUATION_TASKS
from eqssl.utils.errors import UserError
from eqssl.utils.progress import cosine

LEARNING_RATES = (*(m * 10.0**e for e in (-5, -4, -3, -2) for m in (1, 2, 5)), 0.1)  # DINOv2's, for 256 images


def fit_heads(
    x: Tensor,
    labels: Tensor,
    classes: int,
    rates: Sequence[float],
    epochs: int = 10,
    batch_size: int = 256,
    momentum: float = 0.9,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """One linear head per learning rate, trained at once on the same batches by cross-entropy.

    SGD with momentum, without weight decay, half a cosine from ``rate * batch_size / 256`` to 0 over all steps, from
    weights that are 0. Gradients are written out: those of all heads are one matrix product.

    Args:
        x: ``[n, D]`` features.
        labels: ``[n]`` in [0, classes).
        classes: C.
        rates: R learning rates, for 256 images.
        epochs, batch_size, momentum: of the training; the last batch of an epoch may be smaller.
        seed: of the order of samples, a new one in every epoch.

    Returns:
        weights ``[D, R, C]`` and biases ``[R, C]``.
    """
    count, width, heads = len(x), x.shape[1], len(rates)
    weight, bias = x.new_zeros(width, heads * classes), x.new_zeros(heads * classes)
    moved = torch.zeros_like(weight), torch.zeros_like(bias)
    rate = torch.tensor(rates, dtype=x.dtype, device=x.device).repeat_interleave(classes) * batch_size / 256
    generator = torch.Generator().manual_seed(seed)
    batches = -(-count // batch_size)
    for epoch in range(epochs):
        order = torch.randperm(count, generator=generator).to(x.device)
        for number, index in enumerate(order.split(batch_size)):
            features, target = x[index], labels[index]
            error = (features @ weight + bias).unflatten(1, (heads, classes)).softmax(2)
            error[torch.arange(len(index), device=x.device), :, target] -= 1
            error = error.flatten(1) / len(index)
            shrink = cosine(1.0, 0.0, (epoch * batches + number) / (epochs * batches))
            for value, gradient, velocity in ((weight, features.T @ error, moved[0]), (bias, error.sum(0), moved[1])):
                velocity.mul_(momentum).add_(gradient)
                value.sub_(shrink * rate * velocity)
    return weight.unflatten(1, (heads, classes)), bias.unflatten(0, (heads, classes))


def accuracies(weight: Tensor, bias: Tensor, x: Tensor, labels: Tensor, chunk: int = 4096) -> Tensor:
    """Share of samples that each head gets right, ``[R]`` float64."""
    right = torch.zeros(bias.shape[0], dtype=torch.float64)
    for part, target in zip(x.split(chunk), labels.split(chunk), strict=True):
        found = (torch.einsum('nd,drc->nrc', part, weight) + bias).argmax(2)
        right += (found == target[:, None]).sum(0).cpu()
    return right / len(x)


@EVALUATION_TASKS.register_module()
class LinearProbe(LabelledTask):
    """Top-1 of linear heads on frozen features of the center crop, the best of several learning rates and parts.

    The best is chosen on images that are held out of the training split, so that the test images are touched once;
    ``select='test'`` chooses on the test images, as DINO, iBOT and DINOv2 do. Published numbers train on random crops
    of 1.28 M images; here features are extracted once.

    Args:
        parts: of 'cls', 'mean' (patch tokens), 'cls_mean' (both), and what else :class:`FeatureStore` has.
        rates: learning rates for 256 images (DINOv2's thirteen).
        epochs, batch_size, momentum: see :func:`fit_heads`.
        held_out: share of the training images that chooses.
        select: 'held_out' or 'test'.
        seed: of the order of samples.
        optional: the task is left out where the images have no labels, instead of refused.
    """

    title = 'linear'
    pixels = 'pixels'  # the part that stands for raw pixels

    def __init__(
        self,
        parts: Sequence[str] = ('cls', 'cls_mean'),
        rates: Sequence[float] = LEARNING_RATES,
        epochs: int = 10,
        batch_size: int = 256,
        momentum: float = 0.9,
        held_out: float = 0.1,
        select: str = 'held_out',
        seed: int = 0,
        optional: bool = False,
    ) -> None:
        if isinstance(parts, str) or not parts:
            raise UserError(f'evaluation task linear: parts={parts!r} must be a list of parts')
        if isinstance(rates, (int, float)):
            raise UserError(f'evaluation task linear: rates={rates} must be a list of learning rates')
        if not 0 <= momentum < 1:
            raise UserError(f'evaluation task linear: momentum={momentum} is not in [0, 1)')
        if select not in ('held_out', 'test'):
            raise UserError(f"evaluation task linear: select='{select}' is neither 'held_out' nor 'test'")
        if not 0 < held_out < 1:
            raise UserError(f'evaluation task linear: held_out={held_out} is not a share in (0, 1)')
        if not rates or min(rates) <= 0 or epochs < 1 or batch_size < 1:
            raise UserError(
                f'evaluation task linear: rates={tuple(rates)} must be positive, epochs={epochs} and '
                f'batch_size={batch_size} at least 1'
            )
        self.parts, self.rates, self.epochs, self.batch_size = tuple(parts), tuple(rates), epochs, batch_size
        self.momentum, self.held_out, self.select = momentum, held_out, select
        self.seed, self.optional = seed, optional

    def on(self, part: str) -> LinearProbe:
        """The same task on another part."""
        other = copy.copy(self)
        other.parts = (part,)
        return other

    def __call__(self, store: FeatureStore) -> dict[str, float]:
        """``linear_top1`` of the best head, ``linear_error`` (binomial standard error over test images),
        ``linear_rate``, and ``linear_top1/<part>`` of each part's best head."""
        best: dict[str, tuple[float, float, float]] = {}
        for part in self.parts:
            x, x_test = standardize(store.features('train', part), store.features('test', part))
            labels, wanted = self.labels(store)
            best[part] = self._best(x, labels, x_test, wanted)
        # of equals the first: the test images say nothing
        _, top1, rate = max(best.values(), key=lambda found: found[0])
        found = {f'linear_top1/{part}': value for part, (_, value, _) in best.items()} if len(best) > 1 else {}
        error = binomial_error(top1, len(x_test))
        return {'linear_top1': top1, 'linear_error': error, 'linear_rate': rate, **found}

    def _best(self, x: Tensor, labels: Tensor, x_test: Tensor, test_labels: Tensor) -> tuple[float, float, float]:
        """Accuracy on what chooses, on the test images, and learning rate of the head that is best at choosing."""
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
        x, labels, x_test, test_labels = (v.to(device) for v in (x, labels, x_test, test_labels))
        classes = int(max(labels.max(), test_labels.max())) + 1
        choosing, kept = (x_test, test_labels), slice(None)
        if self.select == 'held_out':  # the images stand in an order of their own: the first ones are a fair sample
            held = max(1, round(self.held_out * len(x)))
            choosing, kept = (x[:held], labels[:held]), slice(held, None)
        if len(x[kept]) < 2:
            raise UserError(f'evaluation task linear: {len(x)} training images are too few')
        training = self.epochs, self.batch_size, self.momentum, self.seed
        heads = fit_heads(x[kept], labels[kept], classes, self.rates, *training)
        scores, tested = accuracies(*heads, *choosing), accuracies(*heads, x_test, test_labels)
        number = int(scores.argmax())
        return float(scores[number]), float(tested[number]), float(self.rates[number])
