"""Device side of the data path: photometrics and parametric paths."""

from eqssl.augment.paths import (
    SE2,
    Blur,
    Color,
    Compose,
    Rotation,
    TransformPath,
    Translation,
    build_path,
)

__all__ = ['SE2', 'Blur', 'Color', 'Compose', 'Rotation', 'TransformPath', 'Translation', 'build_path']
