"""Downstream runs in one table: ``python tools/analysis/collect_results.py base=work_dirs/a_* ours=work_dirs/b_*``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from eqssl.utils.errors import UserError, run_cli


def folders_of(word: str) -> list[Path]:
    """The folders that a path or pattern names."""
    pattern = Path(word).expanduser()
    try:
        found = Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor)))
        folders = sorted(path for path in found if path.is_dir()) if word else []
    except ValueError as error:
        raise UserError(f"'{word}' is no pattern of folders ({error})") from error
    if not folders:
        raise UserError(f"'{word}' is no folder")
    return folders


def read_groups(words: list[str]) -> dict[str, list[Path]]:
    """``name=dir`` opens a group, further dirs (as a shell expands a pattern) belong to it."""
    groups: dict[str, list[Path]] = {}
    name = ''
    for word in words:
        if '=' in word and not Path(word).is_dir():
            name, _, word = word.partition('=')
        if not name:
            raise UserError(f"'{word}' belongs to no group; begin with name=work_dir")
        for folder in folders_of(word):
            if any(folder.samefile(other) for others in groups.values() for other in others):
                raise UserError(f"'{folder}' is named twice")
            groups.setdefault(name, []).append(folder)
    return groups


def main() -> int:
    """Print the table and store it."""
    from eqssl.utils.flags import result_file

    parser = argparse.ArgumentParser(description='Mean and spread of downstream runs.')
    parser.add_argument('groups', nargs='+', metavar='NAME=DIR')
    parser.add_argument('--measures', nargs='+', metavar='KEY', help='e.g. mIoU or coco/bbox_mAP; default all')
    parser.add_argument('--best', action='store_true', help='best validation by the first measure, not the last one')
    parser.add_argument('--json', type=result_file, metavar='FILE')
    parser.add_argument('--debug', action='store_true')
    args = parser.parse_args()
    from eqssl.apps.downstream_results import collect
    from eqssl.utils.tables import format_table, write_json

    rows = collect(read_groups(args.groups), args.measures, args.best)
    print(format_table(rows))
    if args.json:
        write_json(args.json, rows)
    return 0


if __name__ == '__main__':
    run_cli(main)
