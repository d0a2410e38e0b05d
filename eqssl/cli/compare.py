"""Runs in one table: mean and spread over seeds, gains run by run.

Configs are trained and evaluated (call it again to continue); work dirs of pre-training and of fine-tuning in mmseg,
mmdet or mmpretrain, and files of ``eqssl evaluate --json``, are read: ``base=work_dirs/a_* ours=work_dirs/b_*``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from eqssl.utils.flags import add_cfg_options, path, result_file


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


def named(word: str) -> bool:
    """Whether a word opens a group: ``NAME=PATH``, with no folder in the name."""
    name, sign, _ = word.partition('=')
    return bool(sign) and '/' not in name and not Path(word).exists()


def split_words(words: list[str]) -> tuple[list[str], list[str]]:
    """Configs (.py files and names of ours) and paths; after ``NAME=PATH`` a word without .py is a path."""
    configs: list[str] = []
    paths: list[str] = []
    for word in words:
        path = bool(named(word)) or Path(word).exists() or any(c in word for c in '*?[') or any(map(named, paths))
        (configs if word.endswith('.py') or not path else paths).append(word)
    return configs, paths


def run(args: argparse.Namespace) -> int:
    """Print the table and store it."""
    from PIL import Image

    from eqssl.apps.compare import Comparison, parse_pairs
    from eqssl.config.reader import find_config
    from eqssl.experiment import heading, make_table, read_groups
    from eqssl.utils.errors import UserError
    from eqssl.utils.tables import format_table, write_json
    from eqssl.visualization.curves import draw_comparison

    pairs = parse_pairs(args.pairs)
    names, paths = split_words(args.what)
    configs, groups = [find_config(name) for name in names], read_groups(paths)
    for config in configs:
        if config.stem in groups:
            raise UserError(f"'{config.stem}' is a config and the name of what is read; give that a name: NAME=PATH")
    if configs:
        comparison = Comparison(args.work_dir, args.cfg_options, args.interval)
        groups = {**comparison.groups(configs, args.seeds), **groups}
    rows = make_table(groups, args.measures, pairs, args.best, args.intervals)
    print(format_table(rows))
    if configs:
        write_json(args.work_dir / 'table.json', rows)
    if args.json:
        write_json(args.json, rows)
    if args.curves:
        file = args.work_dir / 'curves.png'
        file.parent.mkdir(parents=True, exist_ok=True)
        picture = draw_comparison(
            {name: [run.curve for run in runs] for name, runs in groups.items()},
            {heading(key): key for key in args.curves},
        )
        Image.fromarray(picture).save(file)
        print(f'curves in {file}')
    return 0
