"""Whether images of more than 8 bits use the range of their type: said before hours of nearly black training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eqssl.datasets.image_reader import UnreadableImage, open_raster, read_bytes
from eqssl.datasets.sources import ImageFolder, Source

LOOKED_AT = 16
_DEEP = ('.png', '.tif', '.tiff')  # the formats that can hold more than 8 bits


def depth_note(source: Source, looked_at: int = LOOKED_AT) -> str | None:
    """What the deep images of a folder hold, from a few of them, spread evenly; None where there are none.

    Args:
        source: an ``ImageFolder``; others have no files.
        looked_at: largest number of files that are read.
    """
    if not isinstance(source, ImageFolder):
        return None
    deep = [file for file in source.files if file.lower().endswith(_DEEP)]
    chosen = [deep[i] for i in np.linspace(0, len(deep) - 1, min(looked_at, len(deep))).astype(int)]
    largest, white, count = 0.0, 0.0, 0
    for file in chosen:
        try:
            raster = open_raster(read_bytes(Path(source.root) / file))
        except UnreadableImage:
            continue
        if raster.largest is not None:
            count += 1
            largest, white = max(largest, raster.largest), max(white, raster.white or 0.0)
    if count == 0:
        return None
    note = f'{count} of {len(chosen)} files looked at have more than 8 bits; the largest value in them is {largest:g}'
    if source.white is not None:
        return f'{note}, white is {source.white:g} (set by the source)'
    own = f'{white:g}' if white else 'not defined (floating point)'
    return f'{note}, white is {own}; if white is less in your data (4095 for 12 bits), set white in the source'
