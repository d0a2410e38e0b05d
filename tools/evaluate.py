"""Evaluate frozen features: ``python tools/evaluate.py CONFIG CHECKPOINT [--tasks knn equivariance] [--controls]``."""

from eqssl.cli import run_tool

if __name__ == '__main__':
    run_tool('evaluate')
