"""Mean and spread over work dirs: ``python tools/analysis/collect_seeds.py work_dirs/demo_simclr_photos_seed?``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from eqssl.utils.errors import run_cli

MEASURES = {
    'kNN top-1': 'knn_top1',
    **{f'R2 {path}': f'r2/{path}/all/mlp' for path in ('rotation', 'translation', 'color', 'blur', 'mean')},
}


def main() -> int:
    """Print the table and the gain of reconstruction over the base alone, seed by seed."""
    from eqssl.utils.flags import path, result_file

    parser = argparse.ArgumentParser(description='Mean and spread over runs of the demo.')
    parser.add_argument('folders', type=path, nargs='+')
    parser.add_argument('--json', type=result_file, metavar='FILE')
    parser.add_argument('--debug', action='store_true')
    args = parser.parse_args()
    from eqssl.utils.spread import mean_and_spread, paired_gain, read_results, summarize
    from eqssl.utils.tables import format_table, write_json

    results = read_results(args.folders)
    rows = summarize(results, MEASURES)
    base, ours = list(results[0])[-2:]
    gains = {k: mean_and_spread(paired_gain(results, ours, base, m)) for k, m in MEASURES.items()}
    rows.append({'': 'gain, seed by seed', **gains})
    print(format_table(rows))
    if args.json:
        write_json(args.json, rows)
    return 0


if __name__ == '__main__':
    run_cli(main)
