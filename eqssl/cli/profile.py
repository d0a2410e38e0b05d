"""Count FLOPs, saved bytes, calls and host reads of a training step, beside the base method."""

from __future__ import annotations

import argparse

from eqssl.utils.flags import add_cfg_options, path_text, result_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument('config', type=path_text)
    add_cfg_options(parser)
    parser.add_argument('--json', type=result_file, metavar='FILE')


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    from eqssl.apps.open_config import open_config
    from eqssl.apps.profile import report, report_lines
    from eqssl.utils.tables import write_json

    cfg = open_config(args.config, args.cfg_options)
    result = report(cfg)
    print(*report_lines(cfg, result), sep='\n')
    if args.json:
        write_json(args.json, result)
    return 0
