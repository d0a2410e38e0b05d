"""The demo: the main job, small. Trains through tools/train.py, evaluates beside controls, writes a report."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from eqssl.engine.checkpoint_store import list_checkpoints
from eqssl.engine.front_door import open_front_door
from eqssl.engine.training_process import train_process
from eqssl.evaluation import Evaluation
from eqssl.evaluation.command import load_model
from eqssl.registry import DATASETS
from eqssl.utils.tables import format_table, write_json
from eqssl.visualization import Report
from eqssl.visualization.curves import draw_curves, read_log
from eqssl.visualization.pictures import montage, pca_at_higher_resolution, reconstruction_rows, with_captions

ROOT = Path(__file__).resolve().parent.parent
STORED = ROOT / 'demo' / 'base_results.json'
PATHS = ('rotation', 'translation', 'color', 'blur', 'mean')
Results = dict[str, dict[str, float]]


def config_path(name: str, data: str) -> Path:
    """``configs/demo/<name>_<data>.py``."""
    return ROOT / 'configs' / 'demo' / f'{name}_{data}.py'


def evaluate(config: Path, checkpoint: Path, seed: int, options: list[str], controls: bool) -> Results:
    """The trained model and, on request, raw pixels and random initialization."""
    cfg = open_front_door(str(config), [f'randomness.seed={seed}', *options])
    model = load_model(cfg, str(checkpoint))
    evaluation = Evaluation.from_settings(cfg.evaluation)
    results: Results = evaluation.controls(cfg.model, seed) if controls else {}
    results['trained'] = evaluation.run(model)
    return results


def stored_base(data: str, seed: int) -> dict[str, float] | None:
    """The stored result of the base method alone: the same command, steps and seed."""
    if not STORED.is_file():
        return None
    return json.loads(STORED.read_text())['results'].get(data, {}).get(str(seed))


def store_base(data: str, seed: int, result: dict[str, float]) -> None:
    """Add a result of the base method to the stored ones (maintainers, after a change of the demo)."""
    stored = json.loads(STORED.read_text()) if STORED.is_file() else {'results': {}}
    stored['command'] = 'python tools/demo.py --data DATA --seed SEED --train-base --store-base'
    kept = {k: round(v, 4) for k, v in result.items() if 'global' not in k}
    stored['results'].setdefault(data, {})[str(seed)] = kept
    write_json(STORED, stored)


def table_rows(results: Results) -> list[dict[str, Any]]:
    """One row per network: kNN, R2 per path, collapse monitors."""
    rows = []
    for name, result in results.items():
        row: dict[str, Any] = {'': name, 'kNN top-1': result.get('knn_top1')}
        row.update({f'R2 {path}': result.get(f'r2/{path}/all/mlp') for path in PATHS})
        row.update({f'R2 true {k[7:]}': v for k, v in result.items() if k.startswith('latent/')})
        row.update({'RankMe': result.get('rankme'), 'feature std': result.get('feature_std')})
        rows.append({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()})
    return rows


def draw_views(report: Report, cfg: Any, model: Any, columns: int = 8) -> np.ndarray:
    """Originals, views, targets beside reconstructions; PCA maps. Returns the first of these as one picture."""
    from eqssl.datasets import collate_views

    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    step = max(1, len(dataset) // columns)
    batch = collate_views([dataset[(i * step, i * step)] for i in range(columns)])
    originals = torch.stack([torch.from_numpy(dataset.source.load(i * step).copy()) for i in range(columns)])
    originals = originals.permute(0, 3, 1, 2).float() / 255
    views = model.data_preprocessor(batch, True)['views']
    captions, rows = reconstruction_rows(model, views, originals, columns)
    report.heading('What is reconstructed')
    report.text(
        'The decoders see only the equivariant features of v1 and v2 (some patches masked) and draw the images on '
        'the way from u to v2. The features must therefore know how far and where v2 was moved.'
    )
    pictures = [montage([row], 96) for row in rows]
    report.rows(captions, pictures)
    report.heading('Patch features (first three principal components as colors)')
    images = torch.nn.functional.interpolate(originals, size=(cfg.evaluation.size,) * 2, mode='area')
    report.rows(['image', 'patch features'], [montage([images]), montage([pca_at_higher_resolution(model, images, 4)])])
    return with_captions(captions, pictures)


def write_report(work_dir: Path, config: Path, rows: list[dict], options: list[str], seconds: float) -> Path:
    """``report.html`` in the work dir."""
    cfg = open_front_door(str(config), options)
    model = load_model(cfg, str(list_checkpoints(work_dir)[-1]))
    report = Report(f'eqssl demo: {config.stem}')
    report.text(
        f'{cfg.train_cfg.max_iters} iterations of {cfg.train_dataloader.batch_size} images, {seconds:.0f} s. kNN top-1 '
        'says how well images of one class lie together; R2 how much of a transformation can be read from the features '
        'of an image and its transformed copy by a small MLP (1 is all, 0 is nothing).'
    )
    report.table(rows)
    report.heading('Training')
    report.picture(draw_curves(read_log(work_dir)), 'Losses (blue) and monitors of collapse (green).')
    Image.fromarray(draw_views(report, cfg, model)).save(work_dir / 'reconstructions.png', optimize=True)
    return report.write(work_dir / 'report.html')


def run(data: str, seed: int, train_base: bool, store: bool, options: list[str]) -> Path:
    """The whole demo; returns the path of the report."""
    start = time.time()
    config, work_dir = config_path('ibot_recon', data), Path('work_dirs') / f'demo_{data}_seed{seed}'
    print(f'== training iBOT + intermediate reconstruction on {data} ({config.name})', flush=True)
    checkpoint = train_process(config, work_dir, [f'randomness.seed={seed}', *options])
    print('== evaluating beside raw pixels and random initialization', flush=True)
    results = evaluate(config, checkpoint, seed, options, controls=True)
    base = None if train_base or options else stored_base(data, seed)  # stored: with the config as it is
    if base is None:
        base_config, base_dir = config_path('ibot', data), Path('work_dirs') / f'demo_{data}_seed{seed}_base'
        print(f'== training iBOT alone for the same steps ({base_config.name})', flush=True)
        checkpoint = train_process(base_config, base_dir, [f'randomness.seed={seed}', *options])
        base = evaluate(base_config, checkpoint, seed, options, False)['trained']
        if store:
            store_base(data, seed, base)
        label = 'iBOT alone'
    else:
        label = 'iBOT alone (stored)'
    ours = results.pop('trained')
    results = {**results, label: base, 'iBOT + recon': ours}
    rows = table_rows(results)
    write_json(work_dir / 'results.json', results)
    print(format_table(rows), flush=True)
    report = write_report(work_dir, config, rows, options, time.time() - start)
    print(f'took {time.time() - start:.0f} s; report: {report.resolve()}', flush=True)
    return report
