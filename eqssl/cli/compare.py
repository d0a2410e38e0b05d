"""Runs in one table: mean and spread over seeds, gains run by run.

Configs are trained and evaluated (call it again to continue); work dirs of pre-training and of fine-tuning in mmseg,
mmdet or mmpretrain, and files of ``eqssl evaluate --json``, are read: ``base=work_dirs/a_* ours=work_dirs/b_*``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from eqssl.utils.flags import add_cfg_options, path, result_file

if TYPE_CHECKING:
    from eqssl.experiment import Experiment


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument('what', nargs='+', metavar='CONFIG|[NAME=]PATH', help='configs, work dirs, results')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0], help='of configs')
    parser.add_argument('--work-dir', type=path, default=Path('work_dirs/compare'), help='of configs')
    add_cfg_options(parser)
    parser.add_argument('--interval', type=int, default=0, help='iterations between evaluations; 0: only at the end')
    parser.add_argument(
        '--measures', nargs='+', metavar='KEY', help='columns, e.g. knn_top1 or mIoU; default: the main ones'
    )
    parser.add_argument('--pairs', nargs='+', default=[], metavar='OURS=BASE', help='rows with the gain, seed by seed')
    parser.add_argument('--best', action='store_true', help='best validation by the first measure, not the last one')
    parser.add_argument('--intervals', action='store_true', help='95 %% over test images, for single runs')
    parser.add_argument('--curves', nargs='+', metavar='KEY', help='draw these measures against steps')
    parser.add_argument('--json', type=result_file, metavar='FILE')


def split_words(words: list[str]) -> tuple[list[str], list[str]]:
    """Configs (.py files and names of ours) and paths; after ``NAME=PATH`` a word without .py is a path."""
    from eqssl.experiment.reader import split_name

    configs: list[str] = []
    paths: list[str] = []
    for word in words:
        is_path = any(split_name(other)[0] for other in [*paths, word]) or Path(word).exists()
        is_path = is_path or any(character in word for character in '*?[')
        (configs if word.endswith('.py') or not is_path else paths).append(word)
    return configs, paths


def draw(groups: dict[str, list[Experiment]], keys: list[str], folder: Path) -> Path:
    """Measures against steps, one color per group; the picture's path."""
    from PIL import Image

    from eqssl.experiment import heading
    from eqssl.visualization.curves import draw_comparison

    curves = {name: [run.curve for run in runs] for name, runs in groups.items()}
    picture = draw_comparison(curves, {heading(key): key for key in keys})
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / 'curves.png'
    Image.fromarray(picture).save(file)
    return file


def run(args: argparse.Namespace) -> int:
    """Print the table and store it."""
    from eqssl.experiment import make_table, parse_pairs, read_groups
    from eqssl.utils.tables import format_table, write_json

    pairs = parse_pairs(args.pairs)
    configs, paths = split_words(args.what)
    groups = read_groups(paths)
    if configs:
        from eqssl.apps.compare import Comparison, own_configs

        comparison = Comparison(args.work_dir, args.cfg_options, args.interval)
        groups = {**comparison.groups(own_configs(configs, groups), args.seeds), **groups}
    rows = make_table(groups, args.measures, pairs, args.best, args.intervals)
    print(format_table(rows))
    if configs:
        write_json(args.work_dir / 'table.json', rows)
    if args.json:
        write_json(args.json, rows)
    if args.curves:
        print(f'curves in {draw(groups, args.curves, args.work_dir)}')
    return 0
