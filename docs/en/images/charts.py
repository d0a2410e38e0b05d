"""Charts from stored numbers: tables of the guides and lines of ``projects/gpu``."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[3]
GUIDES = ROOT / 'docs' / 'en' / 'user_guides'
BLUE, GREEN, ORANGE, GRAY, DARK = '#2b6cb0', '#2f855a', '#dd6b20', '#cbd5e0', '#718096'


def table(guide: str, first_row: str) -> dict[str, dict[str, str]]:
    """The table of a guide that has a row of this name: row -> column -> cell, as written."""
    block: list[list[str]] = []
    for line in [*(GUIDES / guide).read_text(encoding='utf-8').splitlines(), '']:
        if line.startswith('|'):
            block.append([cell.strip(' *') for cell in line.strip('|').split('|')])
            continue
        if any(cells[0] == first_row for cells in block):
            return {cells[0]: dict(zip(block[0], cells, strict=True)) for cells in block[2:]}
        block = []
    raise ValueError(f"{guide} has no table with a row '{first_row}'")


def number(cell: str) -> tuple[float, float]:
    """Mean and spread of '0.845 ± 0.004'; a cell without a spread has 0."""
    mean, _, spread = cell.partition('±')
    return float(mean), float(spread or 0)


def plain_grid(axes: Axes, axis: str) -> None:
    """Lines of one direction only, no ticks."""
    axes.grid(axis=axis)
    axes.tick_params(length=0)


def r2() -> Figure:
    """R2 of each transformation in the demo, beside the controls."""
    rows = table('demo.md', 'raw pixels')
    shown = {'raw pixels': GRAY, 'random initialization': DARK, 'SimCLR alone': '#63b3ed', 'SimCLR + recon': BLUE}
    paths = ['rotation', 'translation', 'color', 'blur', 'mean']
    figure, axes = plt.subplots(figsize=(9, 3.6))
    width = 0.8 / len(shown)
    for place, (name, color) in enumerate(shown.items()):
        means, spreads = np.array([number(rows[name][f'R2 {path}']) for path in paths]).T
        x = np.arange(len(paths)) + (place - (len(shown) - 1) / 2) * width
        bars = axes.bar(x, means, width * 0.92, yerr=spreads, color=color, label=name, ecolor='#4a5568', capsize=2)
        axes.bar_label(bars, fmt='%.2f', fontsize=8, padding=2, color='#4a5568')
    axes.set_xticks(range(len(paths)), paths)
    axes.axhline(0, color='#a0aec0', lw=0.8)
    axes.axvline(len(paths) - 1.5, color='#a0aec0', lw=0.8, ls=':')
    axes.set(ylabel='R2 (1: all can be read)', ylim=(-0.4, 1.05))
    plain_grid(axes, 'y')
    figure.legend(loc='outside upper center', ncols=4)
    return figure


def gains() -> Figure:
    """What reconstruction adds in the demo, seed by seed, over each of two bases."""
    rows = table('demo.md', 'raw pixels')
    pairs = {'gain over SimCLR alone, seed by seed': BLUE, 'gain over the same path, seed by seed': ORANGE}
    measures = [key for key in rows['raw pixels'] if key]
    figure, axes = plt.subplots(figsize=(9, 3.2))
    for place, (name, color) in enumerate(pairs.items()):
        means, spreads = np.array([number(rows[name][measure]) for measure in measures]).T
        x = np.arange(len(measures)) + (place - 0.5) * 0.22
        axes.errorbar(
            x, means, yerr=spreads, fmt='o', color=color, capsize=4, ms=7, lw=1.6, label=name.partition(',')[0]
        )
        for at, mean in zip(x, means, strict=True):
            axes.annotate(f'{mean:.3f}', (at, mean), (8 * (2 * place - 1), 0), textcoords='offset points', fontsize=8,
                          va='center', ha='left' if place else 'right', color='#4a5568')  # fmt: skip
    axes.axhline(0, color='#718096', lw=1)
    axes.set_xticks(range(len(measures)), measures)
    axes.set(ylabel='SimCLR + recon minus base', xlim=(-0.6, len(measures) - 0.4))
    plain_grid(axes, 'y')
    figure.legend(loc='outside upper center', ncols=2)
    return figure


def bases() -> Figure:
    """kNN of the base methods after short runs, beside raw pixels and untrained networks."""
    rows = table('bases.md', 'raw pixels (controls)')
    controls = {'raw pixels (controls)': ':', 'random ResNet-18': '--', 'random ViT': '-.'}
    found = {name: number(row['kNN top-1']) for name, row in rows.items()}
    methods = sorted((name for name in found if name not in controls), key=lambda name: found[name][0])
    figure, axes = plt.subplots(figsize=(8, 4.2))
    for place, name in enumerate(methods):
        mean, spread = found[name]
        color = GREEN if '(ViT)' in name else ORANGE if 'labels' in name else BLUE
        axes.errorbar(mean, place, xerr=spread or None, fmt='o', color=color, capsize=3, ms=6)
    for name, style in controls.items():
        axes.axvline(found[name][0], ls=style, color=DARK, lw=1.2, label=name.removesuffix(' (controls)'))
    axes.set_yticks(range(len(methods)), methods)
    axes.set_xlabel('kNN top-1 on CIFAR-10, mean and standard deviation over seeds')
    plain_grid(axes, 'both')
    for color, label in ((BLUE, 'ResNet-18'), (ORANGE, 'ResNet-18, with labels'), (GREEN, 'ViT')):
        axes.plot([], [], 'o', color=color, label=label)
    figure.legend(loc='outside upper center', ncols=6, fontsize=8.5, columnspacing=1.2)
    return figure


def gpu() -> Figure:
    """Images per second on an H200, by the way the same step is computed."""
    file = ROOT / 'projects' / 'gpu' / 'h200' / 'throughput.jsonl'
    head, *lines = map(json.loads, file.read_text().splitlines())
    rate = {(line['config'], line['how']): line['images_per_s'] for line in lines if 'images_per_s' in line}
    ways = {'official layout': GRAY, 'as it is': '#63b3ed', 'compiled': BLUE}
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.4))
    for axes, (size, title) in zip(
        panels, {'vits': 'ViT-S/16, batch 128', 'vitl': 'ViT-L/16, batch 48'}.items(), strict=True
    ):
        for group, config in enumerate((f'ibot_{size}', f'ibot_recon_{size}')):
            there = [way for way in ways if (config, way) in rate]
            for place, way in enumerate(there):
                x = group + (place - (len(there) - 1) / 2) * 0.27
                bar = axes.bar(x, rate[config, way], 0.25, color=ways[way])
                axes.bar_label(bar, fmt='%.0f', fontsize=9, padding=2)
        axes.set_xticks((0, 1), ('iBOT', 'iBOT + reconstruction'))
        axes.set(title=title, xlim=(-0.5, 1.5))
        axes.margins(y=0.12)
        plain_grid(axes, 'y')
    panels[0].set_ylabel(f'images/s ({head["device"]})')
    labels = ('order of work of the published code', 'as it is', 'compiled by blocks')
    figure.legend(
        [plt.Rectangle((0, 0), 1, 1, color=c) for c in ways.values()], labels, loc='outside upper center', ncols=3
    )
    return figure
