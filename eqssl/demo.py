"""The demo: the main job, small. Trains through tools/train.py, evaluates beside controls, writes a report."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
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
from eqssl.utils.errors import UserError
from eqssl.utils.tables import format_table, write_json
from eqssl.visualization import Report
from eqssl.visualization.curves import draw_curves, draw_progress, read_evaluations, read_log
from eqssl.visualization.pictures import montage, pca_at_higher_resolution, reconstruction_rows, with_captions

ROOT = Path(__file__).resolve().parent.parent
STORED = ROOT / 'demo' / 'base_results.json'
PATHS = ('rotation', 'translation', 'color', 'blur', 'mean')
PROGRESS = {'kNN top-1': 'knn_top1', 'R2 mean (ridge)': 'r2/mean/all/ridge'}  # what the curves show
METHODS = {'ibot': 'iBOT'}
Results = dict[str, dict[str, float]]


@dataclass
class Demo:
    """One run of the demo: a base method with intermediate reconstruction, beside the base alone and two controls.

    Attributes:
        method: 'ibot'; a further one needs its two configs in configs/demo and its name in METHODS.
        data: 'cifar10' or 'objects'.
        seed: of everything.
        options: ``--cfg-options`` of training and evaluation.
    """

    method: str
    data: str
    seed: int = 0
    options: list[str] = field(default_factory=list)

    def config(self, recon: bool = True) -> Path:
        """``configs/demo/<method>[_recon]_<data>.py``."""
        name = f'{self.method}{"_recon" if recon else ""}_{self.data}.py'
        path = ROOT / 'configs' / 'demo' / name
        if not path.is_file():
            known = ', '.join(sorted(p.stem for p in path.parent.glob('*_recon_*.py')))
            raise UserError(f'the demo has no {name}; it has {known}')
        return path

    def work_dir(self, recon: bool = True) -> Path:
        """Of the training."""
        return Path('work_dirs') / f'demo_{self.method}_{self.data}_seed{self.seed}{"" if recon else "_base"}'

    @property
    def base_name(self) -> str:
        """The base method, as tables call it."""
        return METHODS[self.method]

    @property
    def cfg(self) -> Any:
        """The config with reconstruction."""
        return open_front_door(str(self.config()), self._options)

    @property
    def _options(self) -> list[str]:
        return [f'randomness.seed={self.seed}', *self.options]

    def train(self, recon: bool = True) -> Path:
        """Train; returns the last checkpoint."""
        return train_process(self.config(recon), self.work_dir(recon), self._options)

    def evaluate(self, checkpoint: Path, recon: bool = True, controls: bool = False) -> Results:
        """The trained model and, on request, raw pixels and random initialization."""
        cfg = open_front_door(str(self.config(recon)), self._options)
        evaluation = Evaluation.from_settings(cfg.evaluation)
        model = load_model(cfg, str(checkpoint))
        results: Results = evaluation.controls(cfg.model, self.seed) if controls else {}
        results['trained'] = evaluation.run(model)
        return results

    # -- the base method alone: its result at the same steps and seed is stored -------------------------------------

    def stored_base(self) -> dict[str, Any] | None:
        """``final`` (measures) and ``curve`` (lines of evaluation.jsonl), or None."""
        stored = json.loads(STORED.read_text()) if STORED.is_file() else {'results': {}}
        return stored['results'].get(f'{self.method}_{self.data}', {}).get(str(self.seed))

    def train_base(self) -> dict[str, Any]:
        """As :meth:`stored_base`, trained now."""
        final = self.evaluate(self.train(recon=False), recon=False)['trained']
        return {'final': final, 'curve': read_evaluations(self.work_dir(recon=False))}

    def store_base(self, result: dict[str, Any]) -> None:
        """Add a result to the stored ones (maintainers, after a change of the demo)."""
        stored = json.loads(STORED.read_text()) if STORED.is_file() else {'results': {}}
        stored['command'] = 'python tools/demo.py --method METHOD --data DATA --seed SEED --train-base --store-base'
        shown = {'iter', *PROGRESS.values()}
        final = {k: round(v, 4) for k, v in result['final'].items() if 'global' not in k}
        curve = [{k: round(v, 4) for k, v in line.items() if k in shown} for line in result['curve']]
        stored['results'].setdefault(f'{self.method}_{self.data}', {})[str(self.seed)] = {
            'final': final,
            'curve': curve,
        }
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
        'The decoders see only the equivariant features of v1 and v2 (where the method masks patches, some are masked) '
        'and draw the images on the way from u to v2. The features must therefore know how far and where v2 was moved.'
    )
    pictures = [montage([row], 96) for row in rows]
    report.rows(captions, pictures)
    report.heading('Patch features (first three principal components as colors)')
    images = torch.nn.functional.interpolate(originals, size=(cfg.evaluation.size,) * 2, mode='area')
    report.rows(['image', 'patch features'], [montage([images]), montage([pca_at_higher_resolution(model, images, 4)])])
    return with_captions(captions, pictures)


def write_report(demo: Demo, rows: list[dict], curves: dict[str, list[dict]], flat: Results, seconds: float) -> Path:
    """``report.html`` and its pictures in the work dir.

    Args:
        demo: the run.
        rows: of the table.
        curves: network -> lines of its evaluations during training.
        flat: controls, which no training moves.
        seconds: of the whole demo.
    """
    cfg, work_dir = demo.cfg, demo.work_dir()
    model = load_model(cfg, str(list_checkpoints(work_dir)[-1]))
    report = Report(f'eqssl demo: {demo.config().stem}')
    report.text(
        f'{cfg.train_cfg.max_iters} iterations of {cfg.train_dataloader.batch_size} images, {seconds:.0f} s. kNN top-1 '
        'says how well images of one class lie together; R2 how much of a transformation can be read from the features '
        'of an image and its transformed copy by a small MLP (1 is all, 0 is nothing).'
    )
    report.table(rows)
    if any(curves.values()):
        picture = draw_progress(curves, flat, PROGRESS)
        report.heading('What training adds')
        report.picture(picture, 'During training, beside what needs none. (R2 of a linear probe on fewer images.)')
        Image.fromarray(picture).save(work_dir / 'curves.png', optimize=True)
    Image.fromarray(draw_views(report, cfg, model)).save(work_dir / 'reconstructions.png', optimize=True)
    report.heading('Losses and monitors')
    report.picture(draw_curves(read_log(work_dir)), 'Losses (blue) and monitors of collapse (green).')
    return report.write(work_dir / 'report.html')


def run(demo: Demo, train_base: bool = False, store: bool = False) -> Path:
    """The whole demo; returns the path of the report."""
    start, base, ours = time.time(), demo.base_name, f'{demo.base_name} + recon'
    print(f'== training {base} + intermediate reconstruction on {demo.data} ({demo.config().name})', flush=True)
    checkpoint = demo.train()
    print('== evaluating beside raw pixels and random initialization', flush=True)
    results = demo.evaluate(checkpoint, controls=True)
    alone = None if train_base or demo.options else demo.stored_base()
    label = f'{base} alone (stored)'
    if alone is None:
        label = f'{base} alone'
        print(f'== training {base} alone for the same steps ({demo.config(recon=False).name})', flush=True)
        alone = demo.train_base()
        if store:
            demo.store_base(alone)
    trained = results.pop('trained')
    flat = dict(results)
    results |= {label: alone['final'], ours: trained}
    rows = table_rows(results)
    write_json(demo.work_dir() / 'results.json', results)
    print(format_table(rows), flush=True)
    curves = {f'{base} alone': alone['curve'], ours: read_evaluations(demo.work_dir())}
    report = write_report(demo, rows, curves, flat, time.time() - start)
    print(f'took {time.time() - start:.0f} s; report: {report.resolve()}', flush=True)
    return report
