"""Packaging lives in pyproject.toml; this links configs and tools into the package for OpenMMLab's ``mim``."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithMim(build_py):
    """Copy configs and tools to ``eqssl/.mim`` in the built package (an editable install reads them in place)."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for folder in ('configs', 'tools'):
            for path in Path(folder).rglob('*'):
                if path.is_file() and '__pycache__' not in path.parts:
                    target = Path(self.build_lib) / 'eqssl' / '.mim' / path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    self.copy_file(str(path), str(target))


setup(cmdclass={'build_py': BuildWithMim})
