"""eqssl: self-supervised pre-training whose features keep rotation, translation, color and blur."""

from eqssl.utils.env import refuse_shadowed_packages
from eqssl.version import __version__

refuse_shadowed_packages()

__all__ = ['__version__']
