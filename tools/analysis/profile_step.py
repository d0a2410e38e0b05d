"""Count what a step costs, beside the base method: ``python tools/analysis/profile_step.py CONFIG [--json FILE]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from eqssl.utils.errors import run_cli


def main() -> int:
    """Print the table."""
    from eqssl.utils.flags import add_cfg_options, path_text, result_file

    parser = argparse.ArgumentParser(description='Count FLOPs, saved bytes, calls and host reads of a training step.')
    parser.add_argument('config', type=path_text)
    add_cfg_options(parser)
    parser.add_argument('--json', type=result_file, metavar='FILE')
    parser.add_argument('--debug', action='store_true')
    args = parser.parse_args()

    from eqssl.apps.open_config import open_config
    from eqssl.apps.profile import report, sizes_of_views
    from eqssl.utils.tables import format_table, write_json

    cfg = open_config(args.config, args.cfg_options)
    result = report(cfg)
    step, base = result['step'], result['base']
    rows = [
        {
            'per step': 'GFLOP per image',
            'this config': step['flops_per_image'] / 1e9,
            'base': base['flops_per_image'] / 1e9,
        },
        {
            'per step': 'MB kept for backward per image',
            'this config': step['saved_bytes_per_image'] / 1e6,
            'base': base['saved_bytes_per_image'] / 1e6,
        },
    ]
    for key in ('backbone_calls', 'host_reads', 'collectives', 'aten_calls'):
        rows.append({'per step': key.replace('_', ' '), 'this config': step[key], 'base': base[key]})
    print(format_table(rows))
    print(f'extra FLOPs over the base: {result["extra_flops_percent"]:.1f} %')
    views = ', '.join(f'{n} x {size} px ({name})' for name, (n, size) in sizes_of_views(cfg).items())
    print(f'views: {views}; one decode per image')
    print('parameters: ' + ', '.join(f'{k} {v / 1e6:.1f} M' for k, v in result['parameters'].items() if v))
    memory = result['memory_gib']
    print(
        f'memory estimate per GPU at batch {result["batch_size"]}, {result["precision"]}: {memory["total"]:.1f} GiB '
        f'(weights and optimizer {memory["state"]:.1f}, kept for backward {memory["activations"]:.1f})'
    )
    if args.json:
        write_json(args.json, result)
    return 0


if __name__ == '__main__':
    run_cli(main)
