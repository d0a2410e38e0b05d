"""Draws the pictures of the user guides anew: ``python docs/en/images/draw.py [NAME ...]``, all by default.

Charts come from numbers that are stored (tables of the guides, ``projects/gpu``), diagrams from the package, views and
paths from the embedded photographs; ``resume`` runs and kills small trainings (two minutes on two cores).
"""

from __future__ import annotations

import argparse
import io
import warnings
from collections.abc import Callable
from pathlib import Path

import charts
import diagrams
import matplotlib.pyplot as plt
import photographs
from matplotlib.figure import Figure
from PIL import Image

HERE = Path(__file__).resolve().parent
DRAWN: dict[str, Callable[[], Figure]] = {
    'views': photographs.views,
    'paths': photographs.paths,
    'r2': charts.r2,
    'gains': charts.gains,
    'bases': charts.bases,
    'gpu': charts.gpu,
    'cost': diagrams.cost,
    'rooms': diagrams.rooms,
    'resume': diagrams.resume,
}
PHOTOGRAPHIC = ('views', 'paths')
STYLE = {
    'font.size': 10,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.edgecolor': '#a0aec0',
    'axes.titlesize': 11,
    'axes.axisbelow': True,
    'text.color': '#1a202c',
    'axes.labelcolor': '#2d3748',
    'xtick.color': '#2d3748',
    'ytick.color': '#2d3748',
    'grid.color': '#e2e8f0',
    'legend.frameon': False,
    'figure.constrained_layout.use': True,
}


def save(figure: Figure, name: str) -> None:
    """A PNG of 256 colors; photographs need no more pixels than a page is wide."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=78 if name in PHOTOGRAPHIC else 110)
    plt.close(figure)
    path = HERE / f'{name}.png'
    image = Image.open(buffer).convert('RGB').quantize(256, kmeans=2, dither=Image.Dither.NONE)
    image.save(path, optimize=True)
    print(f'{path.name}: {path.stat().st_size / 1000:.0f} kB')


def main() -> None:
    """Draw what is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('names', nargs='*', choices=[[], *DRAWN], metavar='NAME', help=', '.join(DRAWN))
    warnings.filterwarnings('ignore')
    with plt.rc_context(STYLE):
        for name in parser.parse_args().names or DRAWN:
            save(DRAWN[name](), name)


if __name__ == '__main__':
    main()
