"""Kill a job at random moments, resume, compare bit for bit with uninterrupted runs.

eqssl drill ibot_recon_objects --kills 10 --workers 2 --ranks 1
"""

from __future__ import annotations

import argparse

from eqssl.utils.flags import add_cfg_options, path_text, result_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument('config', type=path_text)
    parser.add_argument('--kills', type=int, default=10)
    parser.add_argument('--iters', type=int, default=60)
    parser.add_argument('--workers', type=int, default=0)
    parser.add_argument('--ranks', type=int, default=1)
    parser.add_argument('--batch', type=int, default=16, help='images per rank')
    parser.add_argument('--signal', choices=['KILL', 'TERM', 'USR1'], default='KILL')
    parser.add_argument('--seed', type=int, default=0)
    add_cfg_options(parser)
    parser.add_argument('--json', type=result_file, metavar='FILE')


def run(args: argparse.Namespace) -> int:
    """Print the comparison; exit code 1 on any difference."""
    from eqssl.apps.drill import Drill, run_drill
    from eqssl.utils.tables import format_table, write_json

    drill = Drill(args.config, args.kills, args.iters, args.workers, args.ranks, args.batch, args.signal, args.seed)
    rows = run_drill(drill, args.cfg_options)
    print(format_table(rows))
    if args.json:
        write_json(args.json, rows)
    return int(any(row['iterations that differ'] or not row['same final state'] for row in rows))
