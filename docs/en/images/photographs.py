"""Pictures of what the data path does to the embedded photographs."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from eqssl.apps.open_config import open_config
from eqssl.augment import SE2, Blur, Color, Rotation, TransformPath
from eqssl.datasets import collate_views
from eqssl.datasets.photos import photographs
from eqssl.models.auxiliary.intermediate_recon import path_targets
from eqssl.registry import DATASETS, MODELS
from eqssl.visualization.pictures import to_uint8

FISH, WINDMILL, MOOSE, FIELD = 0, 65, 83, 97  # public domain, and CC0 (the last)
BLUE, GREEN, ORANGE, GRAY = '#2b6cb0', '#2f855a', '#dd6b20', '#a0aec0'


class Chosen:
    """A source of some of the photographs."""

    classes = None

    def __init__(self, numbers: tuple[int, ...]) -> None:
        every = photographs()
        self.images = [np.asarray(every[number]) for number in numbers]

    def __len__(self) -> int:
        return len(self.images)

    def load(self, index: int) -> np.ndarray:
        return self.images[index]

    def label(self, index: int) -> int:
        return -1

    def name(self, index: int) -> str:
        return str(index)


def picture(axes: Axes, pixels: np.ndarray, color: str | None = None, style: str = '-') -> None:
    """An image with a frame."""
    axes.imshow(pixels, interpolation='antialiased')
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=color is not None, color=color, lw=2, ls=style)


def cut_views(config: str, source: Chosen, seed: int) -> tuple[dict[str, Any], Any]:
    """A batch of a recipe's views, as the worker draws them and as the model gets them."""
    cfg = open_config(config)
    dataset = DATASETS.build({**cfg.train_dataloader.dataset, 'source': source, 'cut': 'worker', 'seed': seed})
    batch = collate_views([dataset[(i, i)] for i in range(len(source))])
    preprocessor = MODELS.build(cfg.model.data_preprocessor)
    found = preprocessor(batch, True)['views']
    found.crops = {name: preprocessor.denormalize(crops) for name, crops in found.crops.items()}
    return batch, found


def masked(image: np.ndarray, mask: Tensor) -> np.ndarray:
    """Masked patches in light gray with a fine grid, as far as one can draw what a network does not see."""
    grid = round(len(mask) ** 0.5)
    side = image.shape[0] // grid
    shown = image.copy()
    for row, column in mask.reshape(grid, grid).nonzero().tolist():
        patch = shown[row * side : (row + 1) * side, column * side : (column + 1) * side]
        patch[:] = 226
        patch[0], patch[:, 0] = 245, 245
    return shown


def panel(figure: Figure, x: float, y: float, width: float, height: float) -> Axes:
    """Axes at a place in inches from the upper left corner."""
    total_width, total_height = figure.get_size_inches()
    place = (x / total_width, 1 - (y + height) / total_height, width / total_width, height / total_height)
    return figure.add_axes(place)


def draw_original(axes: Axes, image: np.ndarray, boxes: dict[str, Tensor]) -> None:
    """A photograph with the crops' rectangles."""
    picture(axes, image)
    for group, color, width in (('local', GREEN, 0.9), ('global', BLUE, 2.0)):
        for x, y, w, h, _ in boxes[group].tolist():
            axes.add_patch(Rectangle((x - 0.5, y - 0.5), w, h, fill=False, color=color, lw=width))


def views(config: str = 'ibot_vits', numbers: tuple[int, ...] = (FISH, MOOSE), seed: int = 5) -> Figure:
    """Each photograph with its crops, the two global views (masked patches in gray) and the local ones."""
    source, side, gap, top = Chosen(numbers), 1.9, 0.12, 0.35
    batch, found = cut_views(config, source, seed)
    small = (side - gap) / 2
    lefts = np.cumsum([0.03, 1.5 * side + 2 * gap, side + gap, side + 2 * gap])
    figure = plt.figure(figsize=(lefts[3] + 5 * (small + gap), top + len(numbers) * (side + gap)), layout='none')
    heads = ('photograph and crops', 'global view 1', 'global view 2', 'local views')
    for left, width, head in zip(lefts, (1.5 * side, side, side, 5 * (small + gap) - gap), heads, strict=True):
        figure.text(
            (left + width / 2) / figure.get_figwidth(), 1 - 0.2 / figure.get_figheight(), head, ha='center', fontsize=12
        )
    for row, image in enumerate(source.images):
        y = top + row * (side + gap)
        boxes = {name: box[:, row] for name, box in batch['box'].items()}
        draw_original(panel(figure, lefts[0], y, 1.5 * side, side), image, boxes)
        for number in range(2):
            shown = to_uint8(found.view('global', number)[row][None])[0]
            mask = found.masks.grid[number * len(source) + row]
            picture(panel(figure, lefts[1 + number], y, side, side), masked(shown, mask), BLUE)
        for number in range(found.num_views['local']):
            x, below = lefts[3] + number % 5 * (small + gap), number // 5 * (small + gap)
            shown = to_uint8(found.view('local', number)[row][None])[0]
            picture(panel(figure, x, y + below, small, small), shown, GREEN)
    return figure


def square(number: int, part: tuple[float, float, float] = (0.5, 0.5, 1.0)) -> Tensor:
    """A square of a photograph: center as shares of width and height, side as a share of the shorter side."""
    image = torch.from_numpy(np.array(photographs()[number])).permute(2, 0, 1)[None] / 255
    height, width = image.shape[-2:]
    side = int(part[2] * min(height, width))
    x, y = (int(min(max(c * full - side / 2, 0), full - side)) for c, full in ((part[0], width), (part[1], height)))
    return torch.nn.functional.interpolate(
        image[..., y : y + side, x : x + side], size=(128, 128), mode='bicubic'
    ).clamp(0, 1)


def path_rows() -> list[tuple[str, TransformPath, list[float], int]]:
    """Label, path, theta and photograph of each row."""
    blur = Blur(sigma=(0.1, 2.0), reference=48)
    return [
        ('Rotation', Rotation(padding='reflect'), [42.0], WINDMILL),
        ('SE2', SE2(pixels=40.0, padding='zeros'), [-38.0, 26.0, -18.0], MOOSE),
        ('Color', Color(), [0.15, 0.1, 0.35, -0.1], FISH),
        ('Blur', blur, [2.0], FIELD),
    ]


def paths() -> Figure:
    """A row per path: what the network sees in blue, what the decoders draw in orange."""
    rows = path_rows()
    heads = ('v1', 'u', 'u1, 1/3 of the way', 'u2, 2/3 of the way', 'v2 = g(u)')
    frames = ((BLUE, '-'), (GRAY, ':'), (ORANGE, '-'), (ORANGE, '-'), (BLUE, '-'))
    figure, panels = plt.subplots(len(rows), 5, figsize=(9.2, 1.62 * len(rows) + 0.6))
    for (label, path, theta, photo), line in zip(rows, panels, strict=True):
        u, v1 = square(photo), square(photo, (0.42, 0.45, 0.7))
        v2, between = path_targets(path, u, torch.tensor([theta]), 2)
        for axes, image, (color, style) in zip(line, (v1, u, *between, v2), frames, strict=True):
            picture(axes, to_uint8(image)[0], color, style)
        line[0].set_ylabel(label, fontsize=11, rotation=0, ha='right', va='center', labelpad=8)
    for axes, head in zip(panels[0], heads, strict=True):
        axes.set_title(head, fontsize=11)
    handles = [
        plt.Line2D([], [], color=BLUE, lw=2),
        plt.Line2D([], [], color=ORANGE, lw=2),
        plt.Line2D([], [], color=GRAY, lw=2, ls=':'),
    ]
    labels = ('seen by the network', 'drawn by the decoders from features of v1 and v2', 'seen by nobody')
    figure.legend(handles, labels, loc='outside lower center', ncols=3)
    return figure
