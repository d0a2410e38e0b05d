"""How fast is a step? ``python tools/gpu/throughput.py --device cuda``: iBOT with and without reconstruction.

ViT-S and ViT-L at the recipe's views (2 x 224 px, 10 x 96 px), bfloat16, on crops that lie on the device: images/s,
the share of the matrix product rate measured in the same run, peak memory; as it is, compiled, and beside
:mod:`official_layout`; kernels.txt beside the result lists where the time goes. One JSON line per setting, written as
soon as it is known.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from correctness import ROOT, Trained, device_named, to_device
from official_layout import OfficialLayout

from eqssl.utils.errors import run_cli

SETTINGS = (  # (config, how), the most telling first
    ('ibot_vits', 'as it is'), ('ibot_vits', 'compiled'),
    ('ibot_recon_vits', 'as it is'), ('ibot_recon_vits', 'compiled'),
    ('ibot_vitl', 'as it is'), ('ibot_vitl', 'compiled'),
    ('ibot_recon_vitl', 'as it is'), ('ibot_recon_vitl', 'compiled'),
    ('ibot_vits', 'official layout'), ('ibot_vitl', 'official layout'),
)  # fmt: skip


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == 'cuda':
        torch.cuda.synchronize()


def seconds(work: Callable[[], Any], device: torch.device, repeats: int) -> float:
    """Of one call, the mean over ``repeats`` after all earlier work is done."""
    synchronize(device)
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    synchronize(device)
    return (time.perf_counter() - start) / repeats


def matmul_rate(device: torch.device) -> float:
    """FLOP/s of a bfloat16 matrix product of random numbers (8192 on a GPU)."""
    side, repeats = (8192, 20) if device.type == 'cuda' else (512, 2)
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        a @ b
    return 2 * side**3 / seconds(lambda: a @ b, device, repeats)


def compile_parts(trained: Trained) -> None:
    """Compile each transformer block of student and teacher: one graph for all of them, fixed shapes."""
    torch._dynamo.reset()  # graphs of the network before would count against the limit of recompilations
    for network in (trained.model.backbone, trained.model.teacher.backbone):
        for block in network.layers:
            block.compile(dynamic=False)


def list_kernels(title: str, work: Callable[[], Any], device: torch.device, file: Path) -> None:
    """Append where two steps spend their time, the 40 longest kernels and operators."""
    kind = torch.profiler.ProfilerActivity
    activities = [kind.CPU, *([kind.CUDA] if device.type == 'cuda' else [])]
    with torch.profiler.profile(activities=activities) as profiler:
        seconds(work, device, 2)
    by = f'self_{device.type}_time_total'
    table = profiler.key_averages().table(sort_by=by, row_limit=40, max_name_column_width=80)
    with open(file, 'a') as stream:
        stream.write(f'== {title}, two steps\n{table}\n')


def measure(
    name: str, how: str, device: torch.device, batch: int, steps: int, rate: float, kernels: Path
) -> dict[str, Any]:
    """One setting; the kernels of a small network as it is are listed too."""
    from eqssl.apps.open_config import open_config
    from eqssl.apps.profile import profile_config, synthetic_batch

    cfg = open_config(str(ROOT / 'configs' / 'eqssl' / f'{name}.py'), ['data_root=unused'])
    data = to_device(synthetic_batch(cfg.train_dataloader.dataset, batch), device)
    counts, _ = profile_config(cfg)
    trained = Trained(cfg, device, 'bf16')
    work: Callable[[], Any] = lambda: trained.step(data)  # noqa: E731
    if how == 'compiled':
        compile_parts(trained)
    elif how == 'official layout':
        work = OfficialLayout(trained, data).step
    start = time.perf_counter()
    seconds(work, device, min(3, steps))
    first = time.perf_counter() - start
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats()
    each = seconds(work, device, steps)
    peak = torch.cuda.max_memory_allocated() / 2**30 if device.type == 'cuda' else None
    if how == 'as it is' and 'vits' in name:
        list_kernels(f'{name}, {how}', work, device, kernels)
    per_image = counts.flops_per_image
    return {
        'batch': batch,
        'images_per_s': batch / each,
        'seconds_per_step': each,
        'seconds_of_warm_up': first,
        'gflop_per_image': per_image / 1e9,
        'share_of_matmul_rate': batch * per_image / each / rate,
        'peak_memory_gib': peak,
    }


def main() -> int:
    """Measure all settings that fit in the time; 1 where one fails."""
    from eqssl.utils.json_lines import append_line

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--device', default='cuda')
    parser.add_argument('--steps', type=int, default=10)
    parser.add_argument('--batch', type=int, nargs=2, default=(128, 48), metavar=('VIT_S', 'VIT_L'))
    parser.add_argument('--configs', nargs='+', help='only these')
    parser.add_argument('--eager', action='store_true', help='nothing compiled')
    parser.add_argument('--seconds', type=float, default=1e9, help='begin nothing new after this time')
    parser.add_argument('--out', type=Path, default=Path('throughput.jsonl'))
    args = parser.parse_args()
    kernels = args.out.with_name('kernels.txt')
    for file in (args.out, kernels):
        file.unlink(missing_ok=True)
    device, begin, failed = device_named(args.device), time.time(), 0
    rate = matmul_rate(device)
    name = torch.cuda.get_device_name() if device.type == 'cuda' else 'CPU'
    print(f'{name}: matrix product {rate / 1e12:.1f} TFLOP/s', flush=True)
    append_line(args.out, {'device': name, 'torch': torch.__version__, 'matmul_tflops': rate / 1e12})
    for config, how in SETTINGS:
        if (args.configs and config not in args.configs) or (args.eager and how == 'compiled'):
            continue
        row: dict[str, Any] = {'config': config, 'how': how}
        if time.time() - begin > args.seconds:
            row['left out'] = 'no time'
        else:
            try:
                row.update(measure(config, how, device, args.batch['vitl' in config], args.steps, rate, kernels))
            except Exception as error:  # memory, a compiler: the next setting is measured all the same
                row['error'], failed = f'{type(error).__name__}: {error}'[:500], 1
            if device.type == 'cuda':
                torch.cuda.empty_cache()
        append_line(args.out, row)
        shown = row.get('error') or row.get('left out')
        shown = shown or f'{row["images_per_s"]:.1f} images/s, {row["share_of_matmul_rate"]:.1%} of the product rate'
        print(f'{config}, {how}: {shown}', flush=True)
    return failed


if __name__ == '__main__':
    run_cli(main)
