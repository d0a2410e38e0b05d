"""Environment check: names what is wrong with an installation and the command that mends it."""

from __future__ import annotations

import importlib
import importlib.metadata as metadata
import json
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

# Upstream OpenMMLab packages own the same import folders as the maintained continuation and silently overwrite it.
SHADOWING = {
    'mmengine': 'onedl-mmengine',
    'mmengine-lite': 'onedl-mmengine',
    'mmcv': 'onedl-mmcv',
    'mmcv-lite': 'onedl-mmcv',
    'mmcv-full': 'onedl-mmcv',
    'mmpretrain': 'onedl-mmpretrain',
    'mmcls': 'onedl-mmpretrain',
    'mmsegmentation': 'onedl-mmsegmentation',
    'mmdet': 'onedl-mmdetection',
}
TORCHVISION_FOR_TORCH = {
    '2.10': '0.25', '2.11': '0.26', '2.12': '0.27', '2.13': '0.28',
}  # fmt: skip
INSTALL = 'make install, or without a checkout: pip install {}'


def _install_library(target: str, extra: str, package: str) -> str:
    return (
        f'make {target}, or without a checkout: {extra} && pip install --no-deps {package} (with its dependencies it '
        'brings a second OpenCV)'
    )


MMSEG = 'pip install "eqssl[mmseg]"'
MMDET = 'pip install "eqssl[mmseg,mmdet]" && eqssl install-mmcv-ops (compiles, 5 to 10 minutes on two cores)'
# Downstream library -> its package and what installs it
LIBRARIES = {
    'mmpretrain': ('onedl-mmpretrain', INSTALL.format('onedl-mmpretrain')),
    'mmseg': ('onedl-mmsegmentation', _install_library('install-mmseg', MMSEG, 'onedl-mmsegmentation')),
    'mmdet': (
        'onedl-mmdetection',
        _install_library('install-mmdet', MMDET, 'onedl-mmdetection imaug'),
    ),
}
CORE = ('torch', 'torchvision', 'onedl-mmengine', 'onedl-mmcv', 'onedl-mmpretrain', 'numpy', 'Pillow')
OPTIONAL = ('onedl-mmsegmentation', 'onedl-mmdetection', 'timm', 'heat')


@dataclass
class Finding:
    """One line of the check: ``level`` is 'ok', 'note' or 'error'; ``mend`` is a command or empty."""

    level: str
    what: str
    mend: str = ''


def version_of(name: str) -> str | None:
    """Installed version of a distribution, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def shadowed_packages() -> list[str]:
    """Upstream packages that lie over the onedl ones."""
    return [name for name in SHADOWING if version_of(name) is not None]


def refuse_shadowed_packages() -> None:
    """Raise ImportError when an upstream OpenMMLab package lies over the onedl one."""
    bad = shadowed_packages()
    if bad:
        forks = sorted({SHADOWING[name] for name in bad})
        raise ImportError(
            f'{", ".join(bad)} and {", ".join(forks)} own the same import folders and overwrite each other. Mend: '
            f'pip uninstall -y {" ".join(bad)} && pip install --force-reinstall --no-deps {" ".join(forks)}'
        )


def _multimodal_models_fail() -> bool:
    transformers = version_of('transformers')
    return transformers is not None and int(transformers.split('.')[0]) >= 5 and version_of('pycocotools') is not None


def leave_out_multimodal_models() -> None:
    """Keep mmpretrain importable where mmdet and transformers 5 are installed.

    With pycocotools (mmdet's) and any transformers mmpretrain imports its multimodal models, which no transformers
    from 5 on can: ``import mmpretrain.models`` fails. They are marked as not installed, as without pycocotools.
    """
    if _multimodal_models_fail() and version_of('onedl-mmpretrain') is not None:
        importlib.import_module('mmpretrain.utils.dependency').WITH_MULTIMODAL = False  # type: ignore[attr-defined]


def _check_torch() -> list[Finding]:
    torch, vision = version_of('torch'), version_of('torchvision')
    if torch is None or vision is None:
        return []  # reported as missing already
    minor = '.'.join(torch.split('.')[:2])
    wanted = TORCHVISION_FOR_TORCH.get(minor)
    findings = []
    if tuple(int(x) for x in minor.split('.')) < (2, 10):
        findings.append(
            Finding('error', f'torch {torch}: its weights_only loader has known holes', 'pip install "torch>=2.10"')
        )
    if wanted and not vision.startswith(wanted):
        mend = f'pip install "torchvision=={wanted}.*"'
        findings.append(Finding('error', f'torch {torch} needs torchvision {wanted}, found {vision}', mend))
    return findings


def _check_imports() -> list[Finding]:
    findings = []
    for module, mend in (
        ('torchvision', 'install torch and torchvision from the same source, in the pair that requirements/ names'),
        ('cv2', 'pip uninstall -y opencv-python && pip install --force-reinstall opencv-python-headless'),
    ):
        try:
            importlib.import_module(module)
        except (ImportError, OSError, RuntimeError) as error:
            findings.append(Finding('error', f'import {module} fails: {error}', mend))
    return findings


def _check_mmcv_ops() -> Finding:
    """mmcv's compiled ops are needed by mmdet alone."""
    needed = version_of('onedl-mmdetection') is not None
    build = 'eqssl install-mmcv-ops'
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            importlib.import_module('mmcv._ext')
    except ImportError:
        if needed:
            return Finding('error', 'mmcv has no compiled ops, and mmdet is installed and needs them', build)
        return Finding('note', 'mmcv has no compiled ops: enough for pre-training and mmseg, not for mmdet', build)
    return Finding('ok', 'mmcv has its compiled ops')


def check_environment() -> list[Finding]:
    """All findings, worst last; nothing is imported before the packages' metadata look right."""
    findings = []
    for name in CORE:
        found = version_of(name)
        if found is None:
            findings.append(Finding('error', f'{name} is missing', INSTALL.format(name)))
        else:
            findings.append(Finding('ok', f'{name} {found}'))
    for name in OPTIONAL:
        found = version_of(name)
        findings.append(Finding('ok', f'{name} {found}') if found else Finding('note', f'{name} not installed'))
    for name in shadowed_packages():
        fork = SHADOWING[name]
        findings.append(
            Finding(
                'error',
                f'{name} {version_of(name)} lies over {fork}: both own the same import folder',
                f'pip uninstall -y {name} && pip install --force-reinstall --no-deps {fork}',
            )
        )
    findings += _check_torch() + _check_imports()
    if not any(f.level == 'error' for f in findings):
        findings.append(_check_mmcv_ops())
    if _multimodal_models_fail():
        findings.append(
            Finding(
                'note',
                'transformers 5 beside pycocotools: import eqssl before mmdet or mmpretrain.models in scripts of yours',
                'pip install "transformers<5"',
            )
        )
    return sorted(findings, key=lambda f: ('ok', 'note', 'error').index(f.level))


def report(quiet: bool = False, file: str | None = None) -> int:
    """Print the findings.

    Args:
        quiet: errors only.
        file: where to write them as JSON, too.

    Returns:
        1 where something is wrong.
    """
    findings = check_environment()
    for finding in findings:
        if finding.level == 'error' or not quiet:
            print(f'{finding.level:5}  {finding.what}' + (f'\n       mend: {finding.mend}' if finding.mend else ''))
    if file:
        Path(file).write_text(json.dumps([asdict(f) for f in findings], indent=2) + '\n')
    bad = any(f.level == 'error' for f in findings)
    if not quiet or bad:
        print('the environment has errors' if bad else 'the environment is fine')
    return int(bad)
