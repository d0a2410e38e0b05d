"""eqssl: self-supervised pre-training whose features keep rotation, translation, color and blur."""

from eqssl.install.environment import leave_out_multimodal_models, refuse_shadowed_packages
from eqssl.version import __version__

refuse_shadowed_packages()
leave_out_multimodal_models()

__all__ = ['__version__']
