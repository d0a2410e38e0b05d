"""Training curves from a work dir's log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import numpy as np

matplotlib.use('Agg')
import matplotlib.pyplot as plt

from eqssl.utils.errors import UserError
from eqssl.utils.json_lines import read_lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MONITORS = ('teacher_entropy', 'prototype_entropy', 'agreement', 'feature_std', 'embedding_std', 'rankme')


def read_log(work_dir: str | Path) -> list[dict[str, float]]:
    """Lines of ``log.jsonl``."""
    return read_lines(Path(work_dir) / 'log.jsonl')


def draw_curves(log: list[dict[str, float]]) -> np.ndarray:
    """Losses and collapse monitors over iterations, ``[H, W, 3]`` uint8."""
    steps = [line['iter'] for line in log]
    losses = [k for k in log[0] if k.startswith('loss_')]
    shown = losses + [m for m in MONITORS if m in log[0]]
    columns = 4
    rows = -(-len(shown) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(3.2 * columns, 2.3 * rows), squeeze=False)
    for axis, key in zip(axes.flat[: len(shown)], shown, strict=True):
        axis.plot(steps, [line[key] for line in log], color='#2b6cb0' if key in losses else '#2f855a', lw=1.4)
        axis.set_title(key, fontsize=10)
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.25)
    for axis in axes.flat[len(shown) :]:
        axis.axis('off')
    return _picture(figure)


def _picture(figure: Figure, tight: bool = True) -> np.ndarray:
    """A figure as ``[H, W, 3]`` uint8."""
    if tight:
        figure.tight_layout()
    figure.canvas.draw()
    image = np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]
    plt.close(figure)
    return image


def draw_comparison(
    runs: dict[str, list[list[dict[str, float]]]],
    measures: dict[str, str],
    controls: dict[str, dict[str, float]] | None = None,
) -> np.ndarray:
    """Measures of the evaluation hook against iterations: mean over a config's runs, shaded from worst to best.

    Args:
        runs: name -> lines of ``evaluation.jsonl``, one list per seed.
        measures: heading -> key.
        controls: name -> measures of networks that do not learn, drawn as flat dashed lines.

    Returns:
        ``[H, W, 3]`` uint8.
    """
    controls = controls or {}
    rows_of_legend = -(-(len(runs) + len(controls)) // 4)
    size = (5.2 * len(measures), 3.8 + 0.25 * rows_of_legend)
    figure, axes = plt.subplots(1, len(measures), figsize=size, squeeze=False, layout='constrained')
    palette = plt.get_cmap('tab10' if len(runs) <= 10 else 'tab20')
    for axis, (heading, key) in zip(axes[0], measures.items(), strict=True):
        drawn = False
        for number, (name, seeds) in enumerate(runs.items()):
            measured = [{line['iter']: line[key] for line in run if key in line} for run in seeds]
            measured = [run for run in measured if run]
            steps = sorted(set.intersection(*map(set, measured))) if measured else []
            if not steps:
                continue
            drawn = True
            values = np.array([[run[step] for step in steps] for run in measured])
            axis.plot(steps, values.mean(0), lw=1.8, label=name, color=palette(number))
            axis.fill_between(steps, values.min(0), values.max(0), alpha=0.12, color=palette(number))
        for number, (name, found) in enumerate(controls.items()):
            if key in found:
                axis.axhline(found[key], ls=('--', ':', '-.')[number % 3], lw=1.4, color='#718096', label=name)
        if not drawn:
            plt.close(figure)
            raise UserError(f"no run has '{key}' in its curve at an iteration that all its seeds share")
        axis.set_title(heading, fontsize=11)
        axis.set_xlabel('iterations')
        axis.grid(alpha=0.25)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc='outside lower center', ncols=4, fontsize=9)
    return _picture(figure, tight=False)
