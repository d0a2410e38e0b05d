"""Sphinx configuration."""

from pathlib import Path

project = 'eqssl'
copyright = '2026, the eqssl authors'
version = release = (Path(__file__).resolve().parents[2] / 'eqssl' / 'version.py').read_text().split("'")[1]
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon']
exclude_patterns = ['_build']
html_theme = 'alabaster'
html_theme_options = {'description': 'Self-supervised pre-training that keeps equivariance', 'page_width': '1100px'}
autodoc_mock_imports: list[str] = []
myst_heading_anchors = 3
