"""Do all configs compute what they computed? ``python -m tests.losses store FILE`` before a change, ``compare`` after.

Six iterations of every pre-training config in configs/ and projects/, shrunk as in tests/integration/test_configs.py,
on one thread; every number of the log must be equal bit for bit. A refactoring shows that it is one.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import MMLogger

from tests.conftest import ROOT, register_all, write_images
from tests.integration.test_configs import CONFIGS, shrunk

TIMES = ('images_per_s', 'eta', 'time', 'data_time', 'memory')


def losses_of(path: Path, images: Path, folder: Path) -> list[dict[str, Any]]:
    """The log lines of six iterations, without times."""
    from eqssl.registry import RUNNERS

    cfg = shrunk(path, images, folder)
    cfg.train_cfg['max_iters'] = 6
    RUNNERS.build(cfg).train()
    lines = [json.loads(line) for line in (folder / 'log.jsonl').read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in TIMES} for line in lines]


def main() -> int:
    """Store or compare; 1 where a number differs or a config fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('what', choices=('store', 'compare'))
    parser.add_argument('file', type=Path)
    parser.add_argument('--configs', nargs='+', help='only those whose path holds one of these')
    args = parser.parse_args()
    torch.set_num_threads(1)
    register_all()
    before = json.loads(args.file.read_text()) if args.what == 'compare' else {}
    found, wrong = {}, 0
    with tempfile.TemporaryDirectory() as place:
        images = Path(place) / 'images'
        for number, name in enumerate(('ants', 'bees')):
            write_images(images / name, 16, seed=number)
        for number, path in enumerate(CONFIGS):
            name = str(path.relative_to(ROOT))
            if args.configs and not any(part in name for part in args.configs):
                continue
            MMLogger.get_current_instance().setLevel(logging.ERROR)
            try:
                found[name] = losses_of(path, images, Path(place) / str(number))
            except Exception as error:  # told, and the next config is tried
                found[name] = [{'error': f'{type(error).__name__}: {error}'}]
            same = args.what == 'store' or found[name] == before.get(name)
            wrong += not same or 'error' in found[name][0]
            print(f'{"ok" if same else "DIFFERENT"}  {name}', *([found[name]] if 'error' in found[name][0] else []))
            sys.stdout.flush()
    if args.what == 'store':
        args.file.write_text(json.dumps(found))
    missing = set(before) - set(found) if not args.configs else set()
    for name in sorted(missing):
        print(f'MISSING  {name}')
    print(f'{len(found)} configs, {wrong + len(missing)} not as they were')
    return int(wrong + len(missing) > 0)


if __name__ == '__main__':
    sys.exit(main())
