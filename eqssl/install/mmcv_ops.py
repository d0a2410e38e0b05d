"""mmcv with compiled ops, which mmdet needs: built once per torch, Python and platform, kept, and reused."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from eqssl.install.environment import INSTALL, version_of
from eqssl.utils.errors import UserError

# The forks state their licence in a way that setuptools before 77 refuses; mmcv's setup.py needs pkg_resources, which
# newer ones no longer have. ninja compiles files side by side and counts them.
BUILD_TOOLS = ('setuptools>=77,<81', 'wheel', 'ninja', 'psutil')
STEP = re.compile(r'^\s*\[(\d+)/(\d+)\] ')
JOB_BYTES = 2 << 30  # memory that one compiler may need
EVERY = 15  # seconds between lines where no terminal shows a bar


def platform_key() -> str:
    """What a wheel with ops fits: torch with its build, CUDA or not, Python, platform.

    pip's own cache knows the last two only, and silently reuses a build for another torch.
    """
    import torch

    device, arches = 'cpu', ''
    if _with_cuda():
        device, arches = f'cuda{torch.version.cuda}', os.environ.get('TORCH_CUDA_ARCH_LIST', '')
        if not arches and torch.cuda.is_available():  # torch builds for the GPUs that it sees
            seen = {torch.cuda.get_device_capability(i) for i in range(torch.cuda.device_count())}
            arches = ';'.join(f'{major}.{minor}' for major, minor in sorted(seen))
        arches = arches.replace(' ', ';').replace(';', '_')
    tag = f'cp{sys.version_info.major}{sys.version_info.minor}'
    parts = [f'torch{torch.__version__}', device, arches, tag, sysconfig.get_platform(), platform.libc_ver()[1]]
    return '-'.join(part for part in parts if part)


def _with_cuda() -> bool:
    """As mmcv's setup.py decides it."""
    import torch

    return torch.cuda.is_available() or os.environ.get('FORCE_CUDA', '0') == '1'


def kept_wheel(folder: Path, version: str) -> Path | None:
    """The wheel with ops of a folder, if it was built before."""
    found = [p for p in sorted(folder.glob(f'onedl_mmcv-{version}-*.whl')) if 'py3-none-any' not in p.name]
    return found[-1] if found else None


def progress_line(line: str, started: float, now: float) -> str | None:
    """``mmcv ops: 12 of 78 files, 00:55`` for a line of ninja's, None for others."""
    match = STEP.match(line)
    if match is None:
        return None
    minutes, seconds = divmod(int(now - started), 60)
    return f'mmcv ops: {match[1]} of {match[2]} files, {minutes:02d}:{seconds:02d}'


def follow(lines: Iterable[str], log: Path) -> str:
    """Write a build's output to a file and its progress to the terminal.

    Returns:
        the last 15 lines.
    """
    last: deque[str] = deque(maxlen=15)
    started = shown = time.monotonic()
    terminal = sys.stdout.isatty()
    with open(log, 'w', encoding='utf-8') as file:
        for line in lines:
            file.write(line)
            last.append(line)
            now = time.monotonic()
            text = progress_line(line, started, now)
            if text is None or not (terminal or now - shown >= EVERY):
                continue
            shown = now
            print(f'\r{text}' if terminal else text, end='' if terminal else '\n', flush=True)
    if terminal:
        print()
    return ''.join(last)


def free_memory() -> int:
    """Bytes that are free now."""
    return os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')


def build_environment(tools: Path, environment: dict[str, str]) -> dict[str, str]:
    """Variables of the build: its tools first; no debug symbols and little optimization (half the time, measured)."""
    made = dict(environment)
    made['PATH'] = f'{tools / "bin"}{os.pathsep}{made.get("PATH", "")}'
    made['PYTHONPATH'] = f'{tools}{os.pathsep}{made["PYTHONPATH"]}' if made.get('PYTHONPATH') else str(tools)
    made.setdefault('CFLAGS', '-g0 -O1')
    made.setdefault('CXXFLAGS', '-g0 -O1')
    made.setdefault('MAX_JOBS', str(max(1, min(free_memory() // JOB_BYTES, len(os.sched_getaffinity(0))))))
    made['MMCV_WITH_OPS'] = '1'
    return made


def pip(*arguments: str) -> list[str]:
    """A pip command of this interpreter."""
    return [sys.executable, '-m', 'pip', '--disable-pip-version-check', *arguments]


def _check_compilers() -> None:
    """Raise UserError where what compiles is missing, before minutes of work."""
    if shutil.which(os.environ.get('CXX', 'c++')) is None:
        raise UserError('mmcv cannot be compiled: no C++ compiler (apt-get install g++, or set CXX)')
    if _with_cuda():
        from torch.utils.cpp_extension import CUDA_HOME

        if CUDA_HOME is None:
            raise UserError(
                'mmcv cannot be compiled for this GPU: no CUDA toolkit (nvcc); install the one of torch.version.cuda '
                'and set CUDA_HOME'
            )


def build_wheel(folder: Path, version: str) -> Path:
    """Compile mmcv against the installed torch (5 to 10 minutes on two cores).

    Args:
        folder: where the wheel is kept; the build's log stands there too.
        version: of onedl-mmcv.

    Raises:
        UserError: the build failed, or made a wheel without ops.
    """
    _check_compilers()
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / 'build.log'
    with tempfile.TemporaryDirectory(prefix='eqssl-mmcv-') as made:
        tools, out = Path(made) / 'tools', Path(made) / 'wheel'
        done = subprocess.run(
            pip('install', '-q', '--target', str(tools), *BUILD_TOOLS), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise UserError(f'the tools to compile mmcv ({", ".join(BUILD_TOOLS)}) cannot be installed: {done.stderr}')
        command = pip('wheel', '-v', '--no-build-isolation', '--no-cache-dir', '--no-deps', '--no-binary', 'onedl-mmcv')
        with subprocess.Popen(
            [*command, '-w', str(out), f'onedl-mmcv=={version}'],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=build_environment(tools, dict(os.environ)),
        ) as process:  # fmt: skip
            assert process.stdout is not None
            end = follow(process.stdout, log)
        built = kept_wheel(out, version)
        if process.returncode or built is None:
            print(end, file=sys.stderr)
            raise UserError(
                f'mmcv could not be compiled (the end of {log} stands above); it needs a C++ compiler (apt-get install '
                'g++), the headers of Python, 2 GB of memory for each of MAX_JOBS, and nvcc where torch sees a GPU'
            )
        staged = folder / f'.{os.getpid()}-{built.name}'
        staged.write_bytes(built.read_bytes())
        return staged.rename(folder / built.name)


def ensure_wheel(cache: Path, version: str) -> Path:
    """The kept wheel for this torch, Python and platform, or a new one."""
    folder = cache / 'wheels' / platform_key()
    wheel = kept_wheel(folder, version)
    if wheel is not None:
        print(f'mmcv with ops: kept wheel {wheel}')
        return wheel
    print(f'mmcv with ops: compiling (5 to 10 minutes on two cores, once); log in {folder / "build.log"}', flush=True)
    return build_wheel(folder, version)


def install(cache: Path) -> None:
    """Put mmcv with compiled ops in the place of the same version without.

    Raises:
        UserError: it could not be built or installed, or its ops do not load.
    """
    version = version_of('onedl-mmcv')
    if version is None:
        raise UserError(f'onedl-mmcv is not installed; install it without ops first: {INSTALL.format("onedl-mmcv")}')
    if _ops_load():
        print(f'onedl-mmcv {version} has its compiled ops already')
        return
    wheel = ensure_wheel(cache, version)
    done = subprocess.run(pip('install', '-q', '--no-deps', '--force-reinstall', str(wheel)), check=False)
    if done.returncode or not _ops_load():
        raise UserError(f"'{wheel}' was installed, but its ops do not load; delete it and run the same command again")
    print(f'onedl-mmcv {version} with compiled ops is installed')


def _ops_load() -> bool:
    """In a process of its own, for this one may hold the old mmcv; ops without CUDA are not enough for a GPU."""
    code = (
        'import sys, torch, mmcv._ext; from mmcv.ops import get_compiling_cuda_version as cuda; '
        "sys.exit(torch.cuda.is_available() and cuda() == 'not available')"
    )
    command = [sys.executable, '-c', code]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
