"""Sphinx configuration."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import api_index
import methods_index

methods_index.write(Path(__file__).with_name('methods.md'))
api_index.write(Path(__file__).parent)
project = 'eqssl'
copyright = '2026, the eqssl authors'
version = release = (Path(__file__).resolve().parents[2] / 'eqssl' / 'version.py').read_text().split("'")[1]
extensions = ['myst_nb', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon']
exclude_patterns = ['_build', 'jupyter_execute']  # what Sphinx and myst-nb write
html_theme = 'furo'
html_title = f'eqssl {version}'
nb_execution_mode = 'off'
autodoc_typehints = 'signature'
autodoc_typehints_format = 'short'
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 100
napoleon_use_ivar = True
myst_heading_anchors = 3
