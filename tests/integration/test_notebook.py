"""docs/en/notebooks: every cell runs, without a network, and leaves the report that it promises."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT

pytestmark = pytest.mark.integration
NOTEBOOK = ROOT / 'docs' / 'en' / 'notebooks' / 'folder_to_report.ipynb'


@pytest.fixture
def environment(monkeypatch):
    """The command ``eqssl`` and the package of this checkout, one thread, no proxy that answers."""
    monkeypatch.setenv('PATH', os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']]))
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')])))
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    for name in ('http_proxy', 'https_proxy'):
        monkeypatch.setenv(name, 'http://127.0.0.1:9')


def test_from_a_folder_to_a_report(tmp_path, environment):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=300, resources={'metadata': {'path': str(tmp_path)}}).execute()
    page = (tmp_path / 'report.html').read_text(encoding='utf-8')
    for text in ('raw pixels', 'random init', 'trained', 'kNN', 'R2 rotation', 'reconstruction of u2', '50 iterations'):
        assert text in page, text
    assert page.count('src="data:image/png;base64,') == 2 + 7  # curves, and the rows of the reconstructions
    assert (tmp_path / 'work' / 'iter_50.pth').is_file() and len(list((tmp_path / 'images').rglob('*.jpg'))) == 600


def test_the_notebook_is_stored_without_outputs_and_is_small():
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == 'code']
    assert not any(cell.outputs or cell.execution_count for cell in cells)
    assert NOTEBOOK.stat().st_size < 20_000
