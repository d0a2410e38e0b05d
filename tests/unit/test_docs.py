"""The API pages: each public module of the package is on one, with all that it defines."""

from __future__ import annotations

import ast
import importlib
import re

import pytest

from tests.conftest import ROOT

DOCS = ROOT / 'docs' / 'en'


def module_of(folder, name, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    return importlib.import_module(name)


@pytest.fixture(scope='module')
def api_index():
    with pytest.MonkeyPatch.context() as monkeypatch:
        return module_of(DOCS, 'api_index', monkeypatch)


@pytest.fixture(scope='module')
def written(api_index, tmp_path_factory):
    folder = tmp_path_factory.mktemp('docs')
    api_index.write(folder)
    return folder


def public_modules():
    for path in sorted((ROOT / 'eqssl').rglob('*.py')):
        parts = path.relative_to(ROOT).with_suffix('').parts
        if parts[1] != 'cli' and not any(part.startswith('_') for part in parts):
            yield '.'.join(parts)


def test_every_public_module_is_on_exactly_one_page_of_its_folder(written):
    found = {}
    for page in (written / 'api').iterdir():
        for name in re.findall(r'^\.\. automodule:: (\S+)$', page.read_text(), re.MULTILINE):
            assert name not in found, name
            found[name] = page.stem
    assert found == {name: name.rpartition('.')[0] for name in public_modules()}


def test_every_page_is_in_the_table_and_in_the_menu(written):
    index = (written / 'api.md').read_text()
    pages = {page.stem for page in (written / 'api').iterdir()}
    assert set(re.findall(r'^\| \[(\S+)\]\(api/\1\.md\) \| \S', index, re.MULTILINE)) == pages
    assert set(re.findall(r'^(\S+) <api/\1>$', index, re.MULTILINE)) == pages


def test_folders_define_nothing_themselves_and_all_that_is_public_is_described():
    for path in sorted((ROOT / 'eqssl').rglob('*.py')):
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), f'{path} has no docstring'
        for node in tree.body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith('_'):
                assert path.name != '__init__.py', f'{path} defines {node.name}, which no page would show'
                assert ast.get_docstring(node), f'{path}: {node.name} has no docstring, so its page leaves it out'


def test_pages_of_folders_that_are_gone_are_removed_and_others_stay_untouched(api_index, written):
    page, gone = written / 'api' / 'eqssl.utils.md', written / 'api' / 'eqssl.gone.md'
    gone.write_text('# eqssl.gone')
    before = page.stat().st_mtime_ns
    api_index.write(written)
    assert not gone.exists() and page.stat().st_mtime_ns == before


def test_every_guide_has_a_picture_with_a_description_and_pictures_are_small():
    for guide in sorted((DOCS / 'user_guides').glob('*.md')):
        pictures = re.findall(r'^!\[(.{20,})\]\(\.\./(images/\S+)\)$', guide.read_text(), re.MULTILINE)
        assert pictures, f'{guide.name} has no picture'
        for _, name in pictures:
            assert (DOCS / name).stat().st_size < 250_000, name


def test_every_picture_that_is_drawn_is_there_and_in_a_guide():
    names = re.findall(r"^    '(\w+)': \w+\.\w+,$", (DOCS / 'images' / 'draw.py').read_text(), re.MULTILINE)
    assert len(names) == 9
    text = ''.join(guide.read_text() for guide in (DOCS / 'user_guides').glob('*.md'))
    for name in names:
        assert f'../images/{name}.png' in text and f'docs/en/images/draw.py {name}' in text, name


@pytest.mark.parametrize('name', ['views', 'paths', 'r2', 'gains', 'bases', 'gpu', 'rooms'])
def test_pictures_can_be_drawn_anew(name, tmp_path, monkeypatch, registered):
    draw = module_of(DOCS / 'images', 'draw', monkeypatch)
    monkeypatch.setattr(draw, 'HERE', tmp_path)
    draw.save(draw.DRAWN[name](), name)
    assert 5_000 < (tmp_path / f'{name}.png').stat().st_size < 160_000
