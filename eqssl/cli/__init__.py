"""The command ``eqssl`` and the tools of the same names: flags, and one function of :mod:`eqssl.apps` behind each."""

from eqssl.cli.main import main, run_tool

__all__ = ['main', 'run_tool']
