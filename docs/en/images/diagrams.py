"""Pictures of the package and of runs: where work goes, which room imports which, what a killed run does."""

from __future__ import annotations

import ast
import os
import signal
import tempfile
import time
import tomllib
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from charts import ROOT, plain_grid
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from eqssl.apps.drill import Drill, Job, read_losses
from eqssl.apps.open_config import open_config
from eqssl.apps.profile import base_config, profile_config, sizes_of_views
from eqssl.checkpoint.store import list_checkpoints
from eqssl.utils.counters import flop_counter

PARTS = {
    'student, global views': '#2b6cb0',
    'student, local views': '#63b3ed',
    'teacher': '#a0aec0',
    'head and loss': '#f6ad55',
    'reconstruction': '#dd6b20',
}
DARK_PARTS = ('#2b6cb0', '#dd6b20')
LIVES = ('#2b6cb0', '#dd6b20', '#2f855a', '#805ad5')
EVERYWHERE = {'registry', 'utils', 'structures', 'version'}
ADDED = {  # what the guide shows how to add
    'cli': 'a command',
    'evaluation': 'an evaluation task',
    'models': 'a head, an auxiliary task',
    'datasets': 'a source of images',
    'augment': 'a path',
}


def encoder_flops(backbone: torch.nn.Module, number: int, side: int, backward: bool) -> float:
    """GFLOP of so many images of one size, without memory."""
    images = torch.empty(number, 3, side, side, device='meta')
    with flop_counter() as counter, torch.set_grad_enabled(backward):
        tokens = backbone([images])[0]
        if backward:
            (tokens.cls.sum() + tokens.patch.sum()).backward()
    return counter.get_total_flops() / 1e9


def step_parts(config: str) -> list[float]:
    """GFLOP per image of each of :data:`PARTS`; the head is what the base method's step does beside its encoders."""
    cfg = open_config(config)
    whole = profile_config(cfg)[0].flops_per_image / 1e9
    counts, model = profile_config(base_config(cfg))
    base, sizes = counts.flops_per_image / 1e9, sizes_of_views(cfg)
    student = [encoder_flops(model.backbone, *sizes[group], backward=True) for group in ('global', 'local')]
    teacher = encoder_flops(model.teacher.backbone, *sizes['global'], backward=False)
    return [*student, teacher, base - sum(student) - teacher, whole - base]


def cost() -> Figure:
    """Where the FLOPs of a step go."""
    configs = {'ViT-L/16': 'ibot_recon_vitl', 'ViT-S/16': 'ibot_recon_vits'}
    figure, axes = plt.subplots(figsize=(9, 2.5))
    for row, config in enumerate(configs.values()):
        parts, left = step_parts(config), 0.0
        total = sum(parts)
        for part, (name, color) in zip(parts, PARTS.items(), strict=True):
            share = 100 * part / total
            axes.barh(row, share, 0.6, left=left, color=color, label=name if row == 0 else None, edgecolor='white')
            if share > 2.5:
                ink = 'white' if color in DARK_PARTS else '#1a202c'
                axes.text(left + share / 2, row, f'{share:.0f} %', ha='center', va='center', color=ink, fontsize=9)
            left += share
        axes.text(101, row, f'{total:.0f} GFLOP\nper image', va='center', fontsize=9)
    axes.set_yticks(range(len(configs)), [f'iBOT + reconstruction\n{name}' for name in configs])
    axes.set(xlim=(0, 112), xticks=range(0, 101, 25), xlabel='share of a step, forward and backward (%)')
    plain_grid(axes, 'x')
    figure.legend(loc='outside upper center', ncols=5, fontsize=9, columnspacing=1.2)
    return figure


def layers() -> list[list[str]]:
    """The rooms from top to bottom, as the contract of lint-imports has them."""
    with open(ROOT / 'pyproject.toml', 'rb') as file:
        contract = tomllib.load(file)['tool']['importlinter']['contracts'][0]
    return [[name.strip() for name in layer.split('|')] for layer in contract['layers'] if layer != '__main__']


def imported_rooms(room: str) -> set[str]:
    """Rooms that the modules of a room import."""
    folder = ROOT / 'eqssl' / room
    found = set()
    for file in folder.rglob('*.py') if folder.is_dir() else [folder.with_suffix('.py')]:
        for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
            if isinstance(node, ast.ImportFrom) and (node.module or '').startswith('eqssl.'):
                found.add(node.module.split('.')[1])
    return found - {room}


def imports_of(room: str) -> str:
    """What a room imports, of those that not everyone does."""
    names = ', '.join(sorted(imported_rooms(room) - EVERYWHERE))
    return f'imports {names}' if names else ''


def room_box(axes: Axes, room: str, place: tuple[float, float, float, float]) -> None:
    """A room with what it imports; in color where a reader adds something."""
    left, bottom, width, height = place
    added, imports = ADDED.get(room), imports_of(room)
    fill, edge = ('#ebf8ff', '#2b6cb0') if added else ('#f7fafc', '#a0aec0')
    box = FancyBboxPatch(
        (left, bottom), width, height, boxstyle='round,pad=0,rounding_size=0.1', fc=fill, ec=edge, lw=1.3
    )
    axes.add_patch(box)
    line = bottom + height - 0.24 if imports else bottom + height / 2 - 0.02
    axes.text(left + 0.15, line, room, va='center', weight='bold', fontsize=11)
    axes.text(left + 0.15, line - 0.32, imports, va='center', fontsize=8.5, color='#4a5568')
    axes.text(left + width - 0.15, line, f'+ {added}' if added else '', va='center', ha='right', color='#2b6cb0')


def rooms() -> Figure:
    """The rooms in layers, each with what it imports."""
    total, gap, bottom = 9.0, 0.13, 0.0
    figure, axes = plt.subplots(figsize=(9, 5.6))
    for row in layers():
        width = (total - gap * (len(row) - 1)) / len(row)
        height = 0.8 if any(map(imports_of, row)) else 0.45
        bottom -= height + gap
        for column, room in enumerate(row):
            room_box(axes, room, (column * (width + gap), bottom, width, height))
    arrow = {'arrowstyle': '-|>', 'color': '#718096', 'lw': 2, 'mutation_scale': 18}
    axes.annotate('', (-0.25, bottom), (-0.25, -gap), arrowprops=arrow)
    axes.text(-0.4, bottom / 2, 'imports run down only', rotation=90, va='center', ha='right', color='#4a5568')
    axes.set(xlim=(-0.75, total + 0.05), ylim=(bottom - 0.05, -gap + 0.05))
    axes.axis('off')
    return figure


def lives(job: Job, work_dir: Path, kills: list[int]) -> list[tuple[int, dict[int, float]]]:
    """Run a job, kill it after the given iterations, resume: each process's first iteration and its losses."""
    found = []
    for moment in [*kills, None]:
        saved = list_checkpoints(work_dir)
        begin = int(saved[-1].stem.removeprefix('iter_')) if saved else 0
        process = job.start(work_dir, resume=bool(found))
        while process.poll() is None and (moment is None or max(read_losses(work_dir), default=0) < moment):
            time.sleep(0.02)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        losses = {i: line['loss'] for i, line in read_losses(work_dir).items() if i > begin}
        found.append((begin, losses))
    return found


def resume(config: str = 'demo/simclr_recon_photos', length: int = 60) -> Figure:
    """A run that is killed and resumed, on top of one that is not."""
    job = Job(config, Drill(config, iters=length, batch=32).options([]))
    with tempfile.TemporaryDirectory() as folder:
        whole = lives(job, Path(folder) / 'whole', [])[0][1]
        parts = lives(job, Path(folder) / 'killed', [17, 34, 50])
    figure, (axes, lanes) = plt.subplots(2, 1, figsize=(8, 4.6), sharex=True, height_ratios=(3, 1.4))
    axes.plot(whole.keys(), whole.values(), color='#cbd5e0', lw=5, label='never interrupted', solid_capstyle='round')
    for number, ((begin, losses), color) in enumerate(zip(parts, LIVES, strict=True)):
        axes.plot(losses.keys(), losses.values(), 'o-', ms=3, lw=0.8, color=color, label=f'process {number + 1}')
        lanes.plot((begin, max(losses)), (-number, -number), color=color, lw=4, solid_capstyle='butt')
        if number < len(parts) - 1:
            lanes.plot(max(losses), -number, 'x', color='#c53030', ms=8, mew=2.5)
            lanes.annotate('SIGKILL', (max(losses) + 1, -number), va='center', fontsize=8.5, color='#c53030')
        if number:
            lanes.annotate(
                f'resumes from iter_{begin}.pth', (begin - 0.7, -number), va='center', ha='right', fontsize=8.5
            )
    equal = all(whole[i] == loss for _, losses in parts for i, loss in losses.items())
    axes.set(ylabel='loss', title=f'losses equal to the last bit: {"yes" if equal else "NO"}')
    axes.legend()
    lanes.set(xlabel='iteration', yticks=[], ylim=(-len(parts) + 0.4, 0.6), xlim=(0, length + 1))
    lanes.spines['left'].set_visible(False)
    plain_grid(axes, 'both')
    return figure
