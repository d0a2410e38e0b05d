"""Multi-crop: one decoded image in, every crop resampled directly from it, all parameters recorded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from PIL import Image

from eqssl.datasets.saliency import TRIES, is_salient
from eqssl.registry import TRANSFORMS
from eqssl.structures import Photometrics
from eqssl.utils.errors import UserError, at_key

cv2.setNumThreads(0)  # workers are the parallelism


@dataclass(frozen=True)
class ViewSpec:
    """How one kind of view is drawn.

    Attributes:
        size: output side in pixels.
        num: how many of them.
        scale: range of the crop's share of the image area.
        ratio: range of the crop's aspect ratio, drawn log-uniformly.
        flip: probability of a horizontal flip.
        jitter: maximal brightness, contrast, saturation and hue change; hue in turns (0.1 = 36 degrees).
        jitter_prob, gray_prob, blur_prob, solarize_prob: probabilities.
        blur_sigma: range of the Gaussian's sigma in pixels of the crop.
        group: crops of one group share one tensor and one backbone call; equal sizes, equal group.
    """

    size: int
    num: int = 1
    scale: tuple[float, float] = (0.25, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.2, 0.1)
    jitter_prob: float = 0.8
    gray_prob: float = 0.2
    blur_prob: float = 0.5
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    solarize_prob: float = 0.0
    group: str = 'global'

    def __post_init__(self) -> None:
        for name in ('flip', 'jitter_prob', 'gray_prob', 'blur_prob', 'solarize_prob'):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f'{name}={getattr(self, name)} is not a probability')
        low, high = self.scale
        if not 0 < low <= high <= 1:
            raise UserError(f'scale={self.scale} is not a range within (0, 1]')
        if self.size < 1 or self.num < 1:
            raise UserError(f'size={self.size} and num={self.num} must be at least 1')


def draw_box(rng: np.random.Generator, height: int, width: int, spec: ViewSpec) -> tuple[int, int, int, int]:
    """A random resized crop (x, y, width, height) as in Inception training: 10 tries, then a centered crop."""
    area = height * width
    for _ in range(10):
        target = area * rng.uniform(*spec.scale)
        aspect = math.exp(rng.uniform(math.log(spec.ratio[0]), math.log(spec.ratio[1])))
        w, h = round(math.sqrt(target * aspect)), round(math.sqrt(target / aspect))
        if 0 < w <= width and 0 < h <= height:
            return int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1)), w, h
    aspect = min(max(width / height, spec.ratio[0]), spec.ratio[1])
    w, h = min(width, round(height * aspect)), min(height, round(width / aspect))
    return (width - w) // 2, (height - h) // 2, w, h


def draw_photometrics(rng: np.random.Generator, spec: ViewSpec) -> np.ndarray:
    """Photometric parameters of one view, the fields of :class:`Photometrics`, ``[7]`` float32.

    Every number is drawn whether it is used or not, so that a changed probability moves no other draw.
    """
    u = rng.random(9)
    b, c, s, h = spec.jitter
    on = u[4] < spec.jitter_prob
    low, high = spec.blur_sigma
    found = Photometrics(
        brightness=1 + on * b * (2 * u[0] - 1),
        contrast=1 + on * c * (2 * u[1] - 1),
        saturation=1 + on * s * (2 * u[2] - 1),
        hue=on * h * (2 * u[3] - 1),
        gray=u[5] < spec.gray_prob,
        sigma=(u[6] < spec.blur_prob) * (low + (high - low) * u[7]),
        solarize=u[8] < spec.solarize_prob,
    )
    return np.array(found, dtype=np.float32)


def resample(image: np.ndarray, box: tuple[int, int, int, int], size: int, backend: str) -> np.ndarray:
    """Crop and resize in one step, ``[size, size, 3]`` uint8.

    'pillow' is the antialiased bicubic of the papers; 'cv2' (area when shrinking, bicubic when enlarging) is faster.
    """
    x, y, w, h = box
    if backend == 'pillow':
        resized = Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC, (x, y, x + w, y + h))
        return np.asarray(resized)
    method = cv2.INTER_AREA if w > size and h > size else cv2.INTER_CUBIC
    return cv2.resize(image[y : y + h, x : x + w], (size, size), interpolation=method)


@TRANSFORMS.register_module()
class MultiCrop:
    """Draw and cut all views of one image.

    Args:
        views: keyword arguments of :class:`ViewSpec`, one dict per kind of view; their order is the order of views.
        backend: 'cv2' or 'pillow', see :func:`resample`.
        salient: share of crops that must be more salient than their image on average (10 tries, then any crop), where
            the source has saliency maps (EffSSL's analysis; ``eqssl saliency`` makes them).

    Raises:
        UserError: a wrong value, or two sizes in one group.
    """

    config_items: ClassVar = {'views': ViewSpec}  # what a list of dicts in the config is made of

    def __init__(self, views: list[dict], backend: str = 'cv2', salient: float = 0.0) -> None:
        if not 0 <= salient <= 1:
            raise UserError(f'salient={salient} is not a share in [0, 1]')
        self.salient = salient
        if backend not in ('cv2', 'pillow'):
            raise UserError(f"backend='{backend}' is neither 'cv2' nor 'pillow'")
        if not views:
            raise UserError('views=[]: at least one kind of view is needed')
        self.backend = backend
        self.specs = [self._spec(number, view) for number, view in enumerate(views)]
        self.groups: dict[str, list[ViewSpec]] = {}
        for spec in self.specs:
            self.groups.setdefault(spec.group, []).extend([spec] * spec.num)
        for name, members in self.groups.items():
            if len({m.size for m in members}) > 1:
                raise UserError(f"group '{name}' mixes sizes {sorted({m.size for m in members})}")

    @staticmethod
    def _spec(number: int, view: dict) -> ViewSpec:
        with at_key(f'views[{number}]'):
            return ViewSpec(**view)

    def _box(
        self, rng: np.random.Generator, height: int, width: int, spec: ViewSpec, saliency: np.ndarray | None
    ) -> tuple[int, int, int, int]:
        """A crop; of the chosen share, the first of 10 that is salient."""
        if saliency is None or rng.random() >= self.salient:
            return draw_box(rng, height, width, spec)
        for _ in range(TRIES):
            box = draw_box(rng, height, width, spec)
            if is_salient(saliency, box, height, width):
                return box
        return draw_box(rng, height, width, spec)

    def draw(
        self, rng: np.random.Generator, height: int, width: int, saliency: np.ndarray | None = None
    ) -> dict[str, dict[str, np.ndarray]]:
        """Draw the parameters of all views, without cutting them.

        Args:
            rng: of this sample.
            height, width: of its image.
            saliency: ``[h, w]`` map of the image, or None.

        Returns:
            group -> ``box`` ``[V, 5]`` (x, y, w, h, flip), ``photo`` ``[V, 7]``, float32.
        """
        out: dict[str, dict[str, np.ndarray]] = {}
        for name, specs in self.groups.items():
            boxes = np.empty((len(specs), 5), np.float32)
            photo = np.empty((len(specs), len(Photometrics._fields)), np.float32)
            for i, spec in enumerate(specs):
                box = self._box(rng, height, width, spec, saliency)
                boxes[i] = (*box, rng.random() < spec.flip)
                photo[i] = draw_photometrics(rng, spec)
            out[name] = {'box': boxes, 'photo': photo}
        return out

    def __call__(
        self, image: np.ndarray, rng: np.random.Generator, saliency: np.ndarray | None = None
    ) -> dict[str, dict[str, np.ndarray]]:
        """Draw and cut the views.

        Args:
            image: ``[H, W, 3]`` uint8.
            rng, saliency: see :meth:`draw`.

        Returns:
            what :meth:`draw` returns, and ``crops`` ``[V, S, S, 3]`` uint8.
        """
        out = self.draw(rng, image.shape[0], image.shape[1], saliency)
        for name, specs in self.groups.items():
            size = specs[0].size
            crops = np.empty((len(specs), size, size, 3), np.uint8)
            for i, (*box, flip) in enumerate(out[name]['box']):
                x, y, w, h = map(int, box)
                crop = resample(image, (x, y, w, h), size, self.backend)
                crops[i] = crop[:, ::-1] if flip else crop
            out[name]['crops'] = crops
        return out
