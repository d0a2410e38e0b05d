"""Crops on the device: what a data worker cuts with OpenCV or Pillow, for all views of a batch in two products."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def _outputs(size: int, like: Tensor) -> Tensor:
    return torch.arange(size, device=like.device, dtype=torch.float32)


def cubic_weights(start: Tensor, length: Tensor, size: int, total: int) -> Tensor:
    """OpenCV's INTER_CUBIC (a = -0.75, four taps, no antialiasing), pixels outside the crop being its border.

    Args:
        start, length: ``[n]``, of the crop along one axis, whole pixels.
        size: of the output.
        total: pixels of the image along this axis.

    Returns:
        ``[n, size, total]``; each row sums to 1.
    """
    scale = (length / size)[:, None]
    where = (_outputs(size, start) + 0.5) * scale - 0.5
    base = where.floor()
    t, a = where - base, -0.75
    far = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    next_ = ((a + 2) * (1 - t) - (a + 3)) * (1 - t) * (1 - t) + 1
    taps = torch.stack([far, near, next_, 1 - far - near - next_], 2)
    pixel = _outputs(total, start)
    weights = torch.zeros(len(start), size, total, device=start.device)
    for number in range(4):  # not scattered: atomic additions on a GPU have no order, and a run is resumed bit for bit
        inside = torch.minimum((base + number - 1).clamp(min=0), (length - 1)[:, None]) + start[:, None]
        weights += taps[..., number, None] * (inside[..., None] == pixel)
    return weights


def area_weights(start: Tensor, length: Tensor, size: int, total: int) -> Tensor:
    """OpenCV's INTER_AREA for a smaller output: the mean over the pixels under each output pixel, in proportion.

    See :func:`cubic_weights`.
    """
    scale = (length / size)[:, None, None]
    low = start[:, None, None] + _outputs(size, start)[None, :, None] * scale
    pixel = _outputs(total, start)
    covered = torch.minimum(pixel + 1, low + scale) - torch.maximum(pixel, low)
    return covered.clamp(min=0) / scale


def pillow_weights(start: Tensor, length: Tensor, size: int, total: int) -> Tensor:
    """Pillow's BICUBIC (a = -0.5), antialiased; it reads beyond the crop, up to the border of the image.

    See :func:`cubic_weights`.
    """
    scale = (length / size)[:, None]
    center = (start[:, None] + (_outputs(size, start) + 0.5) * scale)[..., None]
    stretch = scale.clamp(min=1)[..., None]
    pixel = _outputs(total, start)
    low, high = (center - 2 * stretch + 0.5).floor(), (center + 2 * stretch + 0.5).floor()
    x, a = ((pixel + 0.5 - center) / stretch).abs(), -0.5
    inner = ((a + 2) * x - (a + 3)) * x * x + 1
    outer = ((x - 5) * x + 8) * a * x - 4 * a
    weights = torch.where(x < 1, inner, torch.where(x < 2, outer, torch.zeros_like(x)))
    weights = weights * ((pixel >= low) & (pixel < high))
    return weights / weights.sum(2, keepdim=True)


def _weights(box: Tensor, size: int, height: int, width: int, backend: str) -> tuple[Tensor, Tensor]:
    """Weights of rows and columns; OpenCV averages where a crop shrinks along both axes."""
    x, y, w, h = box.unbind(1)[:4]
    if backend == 'pillow':
        return pillow_weights(y, h, size, height), pillow_weights(x, w, size, width)
    rows, columns = cubic_weights(y, h, size, height), cubic_weights(x, w, size, width)
    if max(height, width) <= size:
        return rows, columns
    shrinks = ((w > size) & (h > size))[:, None, None]
    return (
        torch.where(shrinks, area_weights(y, h, size, height), rows),
        torch.where(shrinks, area_weights(x, w, size, width), columns),
    )


def _to_levels(x: Tensor) -> Tensor:
    return x.add(0.5).floor().clamp(0, 255)


def cut(images: Tensor, box: Tensor, size: int, backend: str = 'cv2') -> Tensor:
    """Crop, resize and flip, as :func:`eqssl.datasets.multicrop.resample` does within one gray level.

    Args:
        images: ``[n, H, W, 3]`` uint8.
        box: ``[n, 5]``: x, y, width, height in whole pixels, and 1 where the crop is flipped.
        size: side of the output.
        backend: 'cv2' or 'pillow'.

    Returns:
        ``[n, size, size, 3]`` uint8.
    """
    rows, columns = _weights(box, size, images.shape[1], images.shape[2], backend)
    columns = torch.where(box[:, 4, None, None] > 0, columns.flip(1), columns)
    narrow = torch.einsum('ntw,nhwc->nhtc', columns, images.to(torch.float32))
    if backend == 'pillow':  # keeps 8 bits between its two passes
        narrow = _to_levels(narrow)
    return _to_levels(torch.einsum('nsh,nhtc->nstc', rows, narrow)).to(torch.uint8)


class DeviceImages:
    """Images of one size on the device, and what cuts views from them.

    Args:
        images: ``[n, H, W, 3]`` uint8.
        sizes: group -> side of its crops.
        backend: of :class:`eqssl.datasets.MultiCrop`.
    """

    def __init__(self, images: np.ndarray, sizes: dict[str, int], backend: str) -> None:
        self.images, self.sizes, self.backend = torch.from_numpy(images), sizes, backend

    def crops(self, index: Tensor, boxes: dict[str, Tensor]) -> dict[str, Tensor]:
        """The crops that the boxes say.

        Args:
            index: ``[B]``, of the images.
            boxes: group -> ``[V, B, 5]``.

        Returns:
            group -> ``[V, B, S, S, 3]`` uint8, on the device of the index.
        """
        self.images = self.images.to(index.device)
        found = {}
        for name, box in boxes.items():
            chosen = self.images[index.repeat(len(box))]
            crops = cut(chosen, box.flatten(0, 1), self.sizes[name], self.backend)
            found[name] = crops.unflatten(0, box.shape[:2])
        return found


def fits_device(images: np.ndarray, share: float = 0.1) -> bool:
    """Whether there is a GPU and an array of images takes at most ``share`` of its memory."""
    if not torch.cuda.is_available():
        return False
    return images.nbytes <= share * torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
