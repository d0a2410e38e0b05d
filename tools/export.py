"""Export a backbone: ``python tools/export.py CHECKPOINT --to timm [--branch teacher] [--out exports]``."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from eqssl.utils.errors import run_cli


def main() -> int:
    """Write, read back, compare."""
    formats = ('backbone', 'timm', 'torchvision', 'hf', 'onnx', 'safetensors')
    from eqssl.utils.flags import path, path_text

    parser = argparse.ArgumentParser(description='Export the backbone of a checkpoint.')
    parser.add_argument('checkpoint', type=path_text, help='of tools/train.py')
    parser.add_argument('--to', choices=formats, required=True)
    parser.add_argument('--branch', choices=['teacher', 'student'], help='default: the teacher where there is one')
    parser.add_argument('--out', type=path, default=Path('exports'))
    parser.add_argument('--name', help="first part of the file's name; default the checkpoint's folder")
    parser.add_argument('--debug', action='store_true')
    args = parser.parse_args()
    from eqssl.downstream.export_formats import export

    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # what is half-written is removed
    export(args.checkpoint, args.to, args.out, args.branch, args.name)
    return 0


if __name__ == '__main__':
    run_cli(main)
