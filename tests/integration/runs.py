"""Runs of the tiny config, and what they leave in a work dir."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from eqssl.apps.train import run_training
from eqssl.checkpoint.store import hash_file_of
from tests.integration.test_bad_input import arguments


def train(config: str, work_dir: Path, resume: str | None = None, **options: Any) -> list[dict]:
    """Train in this process; ``a__b`` stands for the key ``a.b``. Returns the log."""
    options = {key.replace('__', '.'): value for key, value in options.items()}
    code = run_training(arguments(work_dir, config=config, work_dir=str(work_dir), options=options, resume=resume))
    assert code == 0
    return log(work_dir)


def log(work_dir: Path) -> list[dict]:
    """The lines of ``log.jsonl``."""
    return [json.loads(line) for line in (work_dir / 'log.jsonl').read_text().splitlines()]


def cut_to(work_dir: Path, last: int) -> None:
    """The work dir of a run that ended after ``last`` iterations."""
    for path in work_dir.glob('iter_*.pth'):
        if int(path.stem[5:]) > last:
            path.unlink()
            hash_file_of(path).unlink()
