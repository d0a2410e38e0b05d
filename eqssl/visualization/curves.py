"""Training curves from a work dir's log."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use('Agg')
import matplotlib.pyplot as plt

MONITORS = ('teacher_entropy', 'prototype_entropy', 'agreement', 'feature_std')


def read_log(work_dir: str | Path) -> list[dict[str, float]]:
    """Lines of ``log.jsonl``."""
    text = (Path(work_dir) / 'log.jsonl').read_text(encoding='utf-8')
    return [json.loads(line) for line in text.splitlines()]


def draw_curves(log: list[dict[str, float]]) -> np.ndarray:
    """Losses and collapse monitors over iterations, ``[H, W, 3]`` uint8."""
    steps = [line['iter'] for line in log]
    losses = [k for k in log[0] if k.startswith('loss_')]
    shown = losses + [m for m in MONITORS if m in log[0]]
    columns = 4
    rows = -(-len(shown) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(3.2 * columns, 2.3 * rows), squeeze=False)
    for axis, key in zip(axes.flat, shown, strict=False):
        axis.plot(steps, [line[key] for line in log], color='#2b6cb0' if key in losses else '#2f855a', lw=1.4)
        axis.set_title(key, fontsize=10)
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.25)
    for axis in list(axes.flat)[len(shown) :]:
        axis.axis('off')
    figure.tight_layout()
    figure.canvas.draw()
    image = np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]
    plt.close(figure)
    return image
