"""Does a device compute what the CPU computes? ``python tools/gpu/correctness.py --device cuda --data-root cifar10``.

For each small config: some optimizer steps on the CPU and on the device from the same weights and crops, in float32;
the same steps there with crops cut on the device, in bfloat16 and in float16; then steps during which the device must
not be read by the host. One JSON line per config, written as soon as it is known.
"""

from __future__ import annotations

import argparse
import copy
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from eqssl.utils.errors import UserError, run_cli

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ('bases/*_cifar10.py', 'demo/*recon_cifar10.py', 'eqssl/byol_rotation_r18_cifar10.py')
TOLERANCE = {'fp32': 1e-3, 'device cut': 1e-2, 'bf16': 3e-2, 'fp16': 3e-2}
Batches = list[dict[str, Any]]


def device_named(name: str) -> torch.device:
    """A device that is there.

    Raises:
        UserError: there is none of this name.
    """
    if name == 'cpu' or (name.partition(':')[0] == 'cuda' and torch.cuda.is_available()):
        return torch.device(name)
    raise UserError(f"--device {name}: not here; 'cpu'{' or cuda' if torch.cuda.is_available() else ''} is")


def to_device(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """Tensors of a batch, moved; a preprocessor that finds them there copies nothing from the host."""
    return {
        key: {k: v.to(device) for k, v in value.items()}
        if isinstance(value, dict)
        else value.to(device)
        if isinstance(value, torch.Tensor)
        else value
        for key, value in batch.items()
    }


class Trained:
    """A model with its optimizer on a device."""

    def __init__(self, cfg: Any, device: torch.device, precision: str, state: dict | None = None) -> None:
        from eqssl.engine.optimizers import OptimWrapperConstructor
        from eqssl.registry import MODELS
        from eqssl.utils.progress import Progress

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.model = MODELS.build(copy.deepcopy(cfg.model))
            self.model.init_weights()
        if state is not None:
            self.model.load_state_dict(state)
        self.model.progress = Progress(iter=1, max_iters=1000, iters_per_epoch=1)
        self.model.to(device).train()
        wrapper = copy.deepcopy(dict(cfg.optim_wrapper))
        wrapper.pop('constructor', None)
        paramwise = wrapper.pop('paramwise_cfg', None)
        self.wrapper = OptimWrapperConstructor({**wrapper, 'precision': precision}, paramwise)(self.model)

    def step(self, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        """One optimizer step; losses stay on the device."""
        with self.wrapper.optim_context(self.model):
            losses = self.model.loss(self.model.data_preprocessor(batch, True)['views'])
            total, _ = self.model.parse_losses(losses)
        self.wrapper.update_params(total)
        self.model.after_step(self.wrapper.finite)
        return {name: value.detach() for name, value in losses.items() if 'loss' in name}


def losses_of(trained: Trained, batches: Batches) -> list[dict[str, float]]:
    """Losses of each step, read by the host at its end."""
    return [{name: float(value) for name, value in trained.step(batch).items()} for batch in batches]


def difference(found: list[dict[str, float]], wanted: list[dict[str, float]]) -> float:
    """The largest difference of a loss, relative where the loss is above 1 (NaN where one is not finite)."""
    pairs = [(f[name], w[name]) for f, w in zip(found, wanted, strict=True) for name in w]
    worst = [abs(f - w) / max(abs(w), 1.0) for f, w in pairs]
    return max(worst) if all(x == x for x in worst) else float('nan')


@contextmanager
def no_host_reads(device: torch.device) -> Iterator[list[int]]:
    """An error at the first synchronizing call on a GPU; elsewhere, reads of tensors by the host are counted."""
    if device.type == 'cuda':
        torch.cuda.set_sync_debug_mode('error')
        try:
            yield [0]
        finally:
            torch.cuda.set_sync_debug_mode('default')
        return
    from eqssl.utils.counters import HostReads

    found = [0]
    with HostReads() as reads:
        yield found
    found[0] = reads.reads


def load_batches(cfg: Any, cut: str, count: int, images: int) -> tuple[Batches, Any]:
    """The first batches of a run, and the data set."""
    from eqssl.datasets import collate_views
    from eqssl.registry import DATASETS

    dataset = DATASETS.build({**cfg.train_dataloader.dataset, 'cut': cut})
    places = [[(i % len(dataset), i) for i in range(b * images, (b + 1) * images)] for b in range(count)]
    return [collate_views([dataset[place] for place in batch]) for batch in places], dataset


def examine(cfg: Any, device: torch.device, steps: int, images: int) -> dict[str, Any]:
    """Differences of one config."""
    batches, _ = load_batches(cfg, 'worker', steps, images)
    cpu = Trained(cfg, torch.device('cpu'), 'fp32')
    state = copy.deepcopy(cpu.model.state_dict())
    wanted = losses_of(cpu, batches)
    row: dict[str, Any] = {'losses on the CPU': wanted, 'differences': {}}
    there = [to_device(batch, device) for batch in batches]
    for kind in ('fp32', 'device cut', 'bf16', 'fp16'):
        data = there
        trained = Trained(cfg, device, kind if kind in ('bf16', 'fp16') else 'fp32', state)
        if kind == 'device cut':
            drawn, dataset = load_batches(cfg, 'device', steps, images)
            trained.model.data_preprocessor.device_images = dataset.device_images()
            data = [to_device(batch, device) for batch in drawn]
        found = losses_of(trained, data)
        # in half precision the first step alone: float16 begins with skipped steps, until its loss scale fits
        compared = 1 if kind in ('bf16', 'fp16') else steps
        row['differences'][kind] = difference(found[:compared], wanted[:compared])
        row['differences'][f'{kind}, last step'] = difference(found[-1:], wanted[-1:])
        if kind in ('fp32', 'bf16'):
            trained.step(data[-1])  # what is made once, is made
            with no_host_reads(device) as reads:
                trained.step(data[-1])
            row[f'host reads in {kind}'] = reads[0]
    near = all(row['differences'][k] <= limit for k, limit in TOLERANCE.items())
    finite = all(value == value for value in row['differences'].values())
    row['right'] = near and finite and not any(row[k] for k in row if k.startswith('host reads'))
    return row


def main() -> int:
    """Examine every config; 1 where something is wrong."""
    from eqssl.apps.open_config import open_config
    from eqssl.utils.json_lines import append_line

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--device', default='cuda')
    parser.add_argument('--data-root', default='cifar10')
    parser.add_argument('--steps', type=int, default=2)
    parser.add_argument('--images', type=int, default=32, help='per batch')
    parser.add_argument('--configs', nargs='+', default=CONFIGS, help='patterns in configs/')
    parser.add_argument('--out', type=Path, default=Path('correctness.jsonl'))
    args = parser.parse_args()
    args.out.unlink(missing_ok=True)
    device = device_named(args.device)
    torch.backends.cudnn.allow_tf32 = False  # convolutions in float32 are to be float32
    wrong = 0
    for file in [file for pattern in args.configs for file in sorted((ROOT / 'configs').glob(pattern))]:
        start = time.time()
        try:
            cfg = open_config(str(file), [f'data_root={args.data_root}'])
            if cfg.model.backbone.get('drop_path_rate'):  # drawn on the device: no two devices draw the same
                cfg.model.backbone.drop_path_rate = 0.0
            row = examine(cfg, device, args.steps, args.images)
        except Exception as error:  # the next config is examined all the same
            last = traceback.extract_tb(error.__traceback__)[-1]
            row = {
                'right': False,
                'error': f'{type(error).__name__}: {error}'[:500],
                'at': f'{last.filename}:{last.lineno}',
            }
        row = {'config': str(file.relative_to(ROOT)), 'seconds': round(time.time() - start, 1), **row}
        append_line(args.out, row)
        wrong += not row['right']
        shown = row.get('error') or '  '.join(f'{k} {row["differences"][k]:.1e}' for k in TOLERANCE)
        print(f'{"right" if row["right"] else "WRONG"}  {row["config"]}: {shown}', flush=True)
    return 1 if wrong else 0


if __name__ == '__main__':
    run_cli(main)
