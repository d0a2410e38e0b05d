"""Packaging lives in pyproject.toml; this puts what lies beside the package into it: configs, tools, data of the demo.

``eqssl/.mim`` is where OpenMMLab's ``mim`` looks, and :mod:`eqssl.utils.places`.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithMim(build_py):
    """Copy folders to ``eqssl/.mim`` in the built package (an editable install reads them in place)."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for folder in ('configs', 'demo', 'tools'):
            for path in Path(folder).rglob('*'):
                if path.is_file() and '__pycache__' not in path.parts:
                    target = Path(self.build_lib) / 'eqssl' / '.mim' / path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    self.copy_file(str(path), str(target))


setup(cmdclass={'build_py': BuildWithMim})
