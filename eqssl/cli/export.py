"""Write the backbone of a checkpoint for another library, read it back, compare."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from eqssl.utils.flags import path, path_text

FORMATS = ('backbone', 'timm', 'torchvision', 'hf', 'onnx', 'safetensors')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument('checkpoint', type=path_text, help='of a pre-training')
    parser.add_argument('--to', choices=FORMATS, required=True)
    parser.add_argument('--branch', choices=['teacher', 'student'], help='default: the teacher where there is one')
    parser.add_argument('--out', type=path, default=Path('exports'))
    parser.add_argument('--name', help="first part of the file's name; default the checkpoint's folder")


def run(args: argparse.Namespace) -> int:
    """Write, read back, compare."""
    from eqssl.downstream.export_formats import export

    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # what is half-written is removed
    export(args.checkpoint, args.to, args.out, args.branch, args.name)
    return 0
