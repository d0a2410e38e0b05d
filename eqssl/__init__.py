"""eqssl: self-supervised pre-training whose features keep rotation, translation, color and blur."""

import sys

from eqssl.install.environment import leave_out_multimodal_models, refuse_shadowed_packages
from eqssl.version import __version__

if sys.argv[1:2] != ['check-env']:  # the command that says what is wrong starts where something is
    refuse_shadowed_packages()
    leave_out_multimodal_models()

__all__ = ['__version__']
