"""Resume drill: kill a training job at random moments, resume it, and compare with uninterrupted runs bit for bit."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from eqssl.apps.open_config import open_config
from eqssl.apps.process import environment
from eqssl.checkpoint.store import list_checkpoints, read_checkpoint
from eqssl.config.schema import accepted_keys, resolve
from eqssl.utils.errors import UserError

TIMEOUT_S = 900.0
DROPOUT = {'drop_path_rate': 0.2, 'drop_rate': 0.1}


@dataclass
class Job:
    """A training command.

    Attributes:
        config: config file.
        options: ``key=value`` for --cfg-options; log interval 1 is added.
        ranks: processes (gloo where there is no GPU).
        port: rendezvous port for several ranks.
    """

    config: str
    options: Sequence[str] = ()
    ranks: int = 1
    port: int = 29611

    def command(self, work_dir: Path, resume: bool) -> list[str]:
        """The command line of one start."""
        launch = ['-m', 'torch.distributed.run', '--nproc_per_node', str(self.ranks), '--master_port', str(self.port)]
        flags = ['--work-dir', str(work_dir), *['--resume'] * resume, *['--launcher', 'pytorch'] * (self.ranks > 1)]
        options = ['--cfg-options', 'default_hooks.logger.interval=1', *self.options]
        start = [sys.executable, *launch] if self.ranks > 1 else [sys.executable]
        return [*start, '-m', 'eqssl', 'train', self.config, *flags, *options]

    def start(self, work_dir: Path, resume: bool) -> subprocess.Popen:
        """Start it as a process group of its own, output to ``<work_dir>.out``."""
        work_dir.parent.mkdir(parents=True, exist_ok=True)
        with open(work_dir.with_suffix('.out'), 'a') as out:
            return subprocess.Popen(
                self.command(work_dir, resume),
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**environment(), 'OMP_NUM_THREADS': '1'},
            )

    def finish(self, work_dir: Path, resume: bool) -> int:
        """Run to the end; returns the exit code."""
        return self.start(work_dir, resume).wait(TIMEOUT_S)


@dataclass
class Outcome:
    """What a run left behind.

    Attributes:
        losses: iteration -> all logged losses and monitors, as written.
        state: SHA-256 of everything in the last checkpoint that the future depends on.
        interruptions: iterations after which the run was interrupted.
    """

    losses: dict[int, dict[str, float]]
    state: str
    interruptions: list[int] = field(default_factory=list)

    def differences(self, other: Outcome) -> int:
        """Iterations whose logged values differ (a missing one differs)."""
        every = set(self.losses) | set(other.losses)
        return sum(self.losses.get(i) != other.losses.get(i) for i in every)


def _feed(digest: hashlib._Hash, value: object) -> None:
    """Add a nested value to a hash, keys in order, tensors by content."""
    if isinstance(value, torch.Tensor):
        digest.update(f'{value.dtype}{tuple(value.shape)}'.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            digest.update(str(key).encode())
            _feed(digest, value[key])
    elif isinstance(value, (list, tuple)):
        for item in value:
            _feed(digest, item)
    else:
        digest.update(repr(value).encode())


def state_hash(checkpoint: Path) -> str:
    """SHA-256 of weights, optimizer, schedules, hooks and random states of a checkpoint."""
    content = read_checkpoint(checkpoint)
    meta = {k: content['meta'][k] for k in ('iter', 'consumed_samples', 'seed')}
    digest = hashlib.sha256()
    _feed(digest, {**{k: v for k, v in content.items() if k != 'meta'}, 'meta': meta})
    return digest.hexdigest()


def read_losses(work_dir: Path) -> dict[int, dict[str, float]]:
    """Logged values by iteration, without timings."""
    path = work_dir / 'log.jsonl'
    lines = path.read_text().splitlines() if path.is_file() else []
    found = {}
    for text in lines:
        try:
            line = json.loads(text)
        except json.JSONDecodeError:  # the last line of a killed process may be torn
            continue
        found[line['iter']] = {k: v for k, v in line.items() if k != 'images_per_s'}
    return found


def outcome(work_dir: Path) -> Outcome:
    """Read a finished run."""
    checkpoints = list_checkpoints(work_dir)
    if not checkpoints:
        raise UserError(f'{work_dir} holds no checkpoint; see {work_dir.with_suffix(".out")}')
    return Outcome(read_losses(work_dir), state_hash(checkpoints[-1]))


def _wait_for(process: subprocess.Popen, work_dir: Path, iteration: int) -> bool:
    """Until the log reaches an iteration; False if the process ended before."""
    deadline = time.time() + TIMEOUT_S
    while time.time() < deadline:
        if process.poll() is not None:
            return False
        if max(read_losses(work_dir), default=0) >= iteration:
            return True
        time.sleep(0.02)
    raise UserError(f'{work_dir}: no progress within {TIMEOUT_S:.0f} s')


def _interrupt(process: subprocess.Popen, number: int, rng: random.Random, ranks: int) -> None:
    """SIGKILL one random rank (torchrun ends the others) or the only process; other signals go to the whole group."""
    if number == signal.SIGKILL and ranks > 1:
        children = subprocess.run(['pgrep', '-P', str(process.pid)], capture_output=True, text=True, check=False)
        workers = [int(pid) for pid in children.stdout.split()]
        os.kill(rng.choice(workers), signal.SIGKILL)
    elif number == signal.SIGKILL:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        os.killpg(process.pid, number)


def interrupted_run(job: Job, work_dir: Path, moments: Sequence[int], number: int, seed: int = 0) -> Outcome:
    """Run a job, interrupt it after the given iterations (at a random moment within one), resume each time.

    Args:
        job: the job.
        work_dir: fresh folder.
        moments: increasing iterations.
        number: SIGKILL, SIGTERM or SIGUSR1.
        seed: of the moments within an iteration and of the victim.
    """
    rng, resume, hit = random.Random(seed), False, []
    for moment in moments:
        process = job.start(work_dir, resume)
        resume = True
        if not _wait_for(process, work_dir, moment):
            break
        time.sleep(rng.random() * 0.2)
        _interrupt(process, number, rng, job.ranks)
        process.wait(TIMEOUT_S)
        logged = max(read_losses(work_dir), default=0)
        hit.append(logged)
        saved = list_checkpoints(work_dir)
        if number != signal.SIGKILL and (not saved or f'iter_{logged}.pth' != saved[-1].name):
            raise UserError(f'{work_dir}: signal {number} lost iterations ({logged} logged, {saved[-1:]} saved)')
    if job.finish(work_dir, resume):
        raise UserError(f'{work_dir}: the resumed run failed; see {work_dir.with_suffix(".out")}')
    result = outcome(work_dir)
    result.interruptions = hit
    return result


@dataclass(frozen=True)
class Drill:
    """What is done to which training.

    Attributes:
        config: file or name.
        kills: how often it is interrupted.
        iters: length of the run.
        workers: data workers.
        ranks: processes.
        batch: images per rank.
        signal: 'KILL', 'TERM' or 'USR1'.
        seed: of the moments.
    """

    config: str
    kills: int = 10
    iters: int = 60
    workers: int = 0
    ranks: int = 1
    batch: int = 16
    signal: str = 'KILL'
    seed: int = 0

    def options(self, more: list[str]) -> list[str]:
        """``--cfg-options``: short, saving often, with dropout where the backbone has it (it draws random numbers)."""
        backbone = open_config(self.config, more).model.backbone.type
        accepted = accepted_keys(resolve(backbone, 'model.backbone')) or ()
        return [
            f'train_cfg.max_iters={self.iters}',
            'train_cfg.max_epochs=None',
            f'train_dataloader.num_workers={self.workers}',
            f'train_dataloader.batch_size={self.batch}',
            'default_hooks.checkpoint.interval=4',
            'default_hooks.checkpoint.by_epoch=False',
            *(f'model.backbone.{key}={rate}' for key, rate in DROPOUT.items() if key in accepted),
            f'param_scheduler.0.warmup={self.iters // 6}',
            'param_scheduler.0.by_epoch=False',
            *more,
        ]


def run_drill(drill: Drill, options: list[str]) -> list[dict[str, Any]]:
    """Two uninterrupted runs and an interrupted one, each beside the first.

    Raises:
        UserError: a run fails, or a signal loses iterations.
    """
    rng = random.Random(drill.seed)
    moments = sorted(rng.sample(range(1, drill.iters - 1), min(drill.kills, drill.iters - 2)))
    with tempfile.TemporaryDirectory() as folder:
        job = Job(drill.config, drill.options(options), drill.ranks)
        for name in ('a', 'b'):
            if job.finish(Path(folder) / name, resume=False):
                print((Path(folder) / f'{name}.out').read_text()[-3000:], file=sys.stderr)
                raise UserError(f'the uninterrupted run of {drill.config} failed')
        first, second = outcome(Path(folder) / 'a'), outcome(Path(folder) / 'b')
        number = signal.Signals[f'SIG{drill.signal}']
        killed = interrupted_run(job, Path(folder) / 'killed', moments, number, drill.seed)
    print(f'interrupted after iterations {killed.interruptions}; state {first.state[:16]}')
    runs = {'uninterrupted': first, 'uninterrupted again': second, f'SIG{drill.signal}': killed}
    return [
        {
            'run': name,
            'interruptions': len(run.interruptions),
            'iterations': len(run.losses),
            'iterations that differ': first.differences(run),
            'same final state': run.state == first.state,
        }
        for name, run in runs.items()
    ]
