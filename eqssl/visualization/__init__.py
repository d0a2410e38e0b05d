"""Pictures, curves and the HTML report."""

from eqssl.visualization.report import Report

__all__ = ['Report']
