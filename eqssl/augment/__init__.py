"""Device side of the data path: photometrics, parametric paths, masks."""

from eqssl.augment.masks import PatchMask
from eqssl.augment.paths import (
    SE2,
    Blur,
    Color,
    Compose,
    Path,
    Rotation,
    Translation,
    build_path,
)

__all__ = ['SE2', 'Blur', 'Color', 'Compose', 'PatchMask', 'Path', 'Rotation', 'Translation', 'build_path']
