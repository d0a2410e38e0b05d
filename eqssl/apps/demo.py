"""The demo: the main job, small. Trains in a process of its own, evaluates beside controls, writes a report."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from eqssl.apps.compare import fingerprint
from eqssl.apps.evaluate import load_model
from eqssl.apps.open_config import open_config
from eqssl.apps.process import train_process
from eqssl.apps.seeds import MEASURES
from eqssl.checkpoint.store import list_checkpoints
from eqssl.config.reader import read_config
from eqssl.evaluation import Evaluation
from eqssl.evaluation.drawings import pca_at_higher_resolution, reconstruction_rows
from eqssl.registry import DATASETS
from eqssl.utils.errors import UserError
from eqssl.utils.json_lines import read_lines
from eqssl.utils.places import shipped
from eqssl.utils.tables import format_table, write_json
from eqssl.visualization import Report
from eqssl.visualization.curves import draw_comparison, draw_curves, read_log
from eqssl.visualization.pictures import montage, with_captions

CONFIGS = shipped('configs', 'demo')
STORED = shipped('demo', 'base_results.json')
METHODS = {'simclr': 'SimCLR', 'ibot': 'iBOT'}
CURVES = {'kNN top-1': 'knn_top1', 'R2, mean over paths (linear probe)': 'r2/mean/all/ridge'}
CURVE_TASK = 'progress'  # of the config's evaluation; the table does without
WATCH = tuple(  # what is measured during training: a sample, for the curves
    f'default_hooks.evaluation.{setting}'
    for setting in (
        'type=eqssl.EvaluationHook', 'interval=108', 'by_epoch=False', f'tasks=[knn,{CURVE_TASK}]', 'limits.train=1000',
        'limits.test=500', 'at_start=True',
    )
)  # fmt: skip
Results = dict[str, dict[str, float]]
Lines = list[dict[str, float]]


@dataclass(frozen=True)
class Demo:
    """One run of the demo.

    Attributes:
        method: key of :data:`METHODS`, the base method.
        data: 'photos', 'objects' or 'cifar10'.
        seed: of everything.
        options: further ``--cfg-options``.
    """

    method: str
    data: str
    seed: int
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of the base method."""
        return METHODS[self.method]

    @property
    def overrides(self) -> list[str]:
        """All ``--cfg-options``."""
        return [f'randomness.seed={self.seed}', *WATCH, *self.options]

    def work_dir(self, base: bool) -> Path:
        """Of the training with reconstruction, or of the base alone."""
        return Path('work_dirs') / f'demo_{self.method}_{self.data}_seed{self.seed}{"_base" if base else ""}'

    def config(self, base: bool) -> Path:
        """The config file.

        Raises:
            UserError: there is none for this method on these data.
        """
        path = CONFIGS / f'{self.method}{"" if base else "_recon"}_{self.data}.py'
        if not path.is_file():
            there = sorted(p.stem.partition('_recon_')[2] for p in CONFIGS.glob(f'{self.method}_recon_*.py'))
            raise UserError(f"--data {self.data}: {self.name} has no config '{path.name}'; it has {', '.join(there)}")
        return path

    def train(self, base: bool) -> None:
        """Train, from the start."""
        what = 'alone' if base else '+ reconstruction'
        print(f'== training {self.name} {what} ({self.config(base).name})', flush=True)
        train_process(self.config(base), self.work_dir(base), self.overrides)

    def cfg(self, base: bool) -> Any:
        """The config, complete."""
        return open_config(str(self.config(base)), self.overrides)

    def trained(self, base: bool) -> Any:
        """The model of the last checkpoint."""
        return load_model(self.cfg(base), str(list_checkpoints(self.work_dir(base))[-1]))

    def evaluation(self) -> Evaluation:
        """The evaluation of the table, one for all networks."""
        settings = self.cfg(base=True).evaluation
        evaluation = Evaluation.from_settings(settings)
        evaluation.select([name for name in settings.tasks if name != CURVE_TASK])
        return evaluation

    def flat_lines(self) -> Results:
        """Raw pixels and random initialization by the measures of the curves."""
        cfg = self.cfg(base=True)
        hook = cfg.default_hooks.evaluation
        evaluation = Evaluation.from_settings({**cfg.evaluation, 'limits': hook.limits})
        evaluation.select(hook.tasks)
        return evaluation.controls(cfg.model, self.seed)

    def curve(self, base: bool) -> Lines:
        """What the hook measured during training."""
        return read_lines(self.work_dir(base) / 'evaluation.jsonl')


def stored_base(demo: Demo) -> dict[str, Any] | None:
    """The stored result of the base method alone (``result``, ``curve``): the same config, command and seed."""
    if demo.options or not STORED.is_file():
        return None
    results = json.loads(STORED.read_text())['results']
    found = results.get(f'{demo.method}_{demo.data}', {}).get(str(demo.seed))
    if found is not None and found['config'] != base_mark(demo):
        print(f'the stored result of {demo.name} alone is of another config: it is trained', flush=True)
        return None
    return found


def base_mark(demo: Demo) -> str:
    """What tells whether a stored result is of the base's config as it is now."""
    return fingerprint(read_config(str(demo.config(base=True)), WATCH))


def store_base(demo: Demo, result: dict[str, float]) -> None:
    """Add a result of the base method to the stored ones (maintainers, after a change of the demo)."""
    stored = json.loads(STORED.read_text()) if STORED.is_file() else {'results': {}}
    stored['command'] = 'python tools/demo.py --method METHOD --data DATA --seed SEED --train-base --store-base'
    shown = ('iter', *CURVES.values())
    entry = {
        'config': base_mark(demo),
        'result': {k: round(v, 4) for k, v in result.items() if 'global' not in k},
        'curve': [{k: round(line[k], 4) for k in shown if k in line} for line in demo.curve(base=True)],
    }
    stored['results'].setdefault(f'{demo.method}_{demo.data}', {})[str(demo.seed)] = entry
    write_json(STORED, stored)


def table_rows(results: Results) -> list[dict[str, Any]]:
    """One row per network: kNN, R2 per path, collapse monitors."""
    rows = []
    for name, result in results.items():
        row: dict[str, Any] = {'': name, **{heading: result.get(key) for heading, key in MEASURES.items()}}
        row.update({f'R2 true {k[7:]}': v for k, v in result.items() if k.startswith('latent/')})
        row.update({'RankMe': result.get('rankme'), 'feature std': result.get('feature_std')})
        rows.append({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()})
    return rows


def in_plain_colors(dataset: dict) -> dict:
    """A data set whose views are crops alone, so that one sees in pictures what is there."""
    off = dict.fromkeys(('jitter_prob', 'gray_prob', 'blur_prob', 'solarize_prob'), 0.0)
    views = [{**view, **off} for view in dataset['views']['views']]
    return {**dataset, 'views': {**dataset['views'], 'views': views}, 'cut': 'worker'}


def draw_views(report: Report, cfg: Any, model: Any, columns: int = 8) -> np.ndarray:
    """Originals, views, targets beside reconstructions; PCA maps. Returns the first of these as one picture."""
    from eqssl.datasets import collate_views

    dataset = DATASETS.build(in_plain_colors(cfg.train_dataloader.dataset))
    step = max(1, len(dataset) // columns)
    batch = collate_views([dataset[(i * step, i * step)] for i in range(columns)])
    originals = torch.stack([torch.from_numpy(dataset.source.load(i * step).copy()) for i in range(columns)])
    originals = originals.permute(0, 3, 1, 2).float() / 255
    views = model.data_preprocessor(batch, True)['views']
    captions, rows = reconstruction_rows(model, views, originals, columns)
    report.heading('What is reconstructed')
    report.text(
        'The decoders see only the equivariant features of v1 and v2 and draw the images on the way from u to v2. The '
        'features must therefore know what is there, in which colors, and how far and where v2 was moved. Drawn '
        'without the color changes and blur of training.'
    )
    pictures = [montage([row], 96) for row in rows]
    report.rows(captions, pictures)
    report.heading('Features of places (first three principal components as colors)')
    images = torch.nn.functional.interpolate(originals, size=(cfg.evaluation.size,) * 2, mode='area')
    report.rows(['image', 'features'], [montage([images]), montage([pca_at_higher_resolution(model, images, 4)])])
    return with_captions(captions, pictures)


def write_report(demo: Demo, results: Results, base_curve: Lines, base_label: str, begin: float) -> Path:
    """``report.html`` in the work dir, with the table, curves and pictures; the last two also as PNG files."""
    cfg, work_dir = demo.cfg(base=False), demo.work_dir(base=False)
    report = Report(f'eqssl demo: {demo.name} + intermediate reconstruction on {demo.data}, seed {demo.seed}')
    report.text(
        f'{cfg.train_cfg.max_iters} iterations of {cfg.train_dataloader.batch_size} images. kNN top-1 '
        'says how well images of one class lie together; R2 how much of a transformation can be read from the features '
        'of an image and its transformed copy by a small MLP (1 is all, 0 is nothing).'
    )
    report.table(table_rows(results))
    error = max(v for r in results.values() for k, v in r.items() if k.startswith('r2_error/') and k.endswith('/mlp'))
    knn_error = max(r['knn_error'] for r in results.values() if 'knn_error' in r)
    report.text(f'Standard errors over test images: kNN at most {knn_error:.3f}, R2 of a path at most {error:.3f}.')
    report.heading('During training')
    curves = {base_label: [base_curve], f'{demo.name} + recon': [demo.curve(base=False)]}
    picture = draw_comparison({k: v for k, v in curves.items() if v[0]}, CURVES, demo.flat_lines())
    Image.fromarray(picture).save(work_dir / 'curves.png', optimize=True)
    report.picture(picture, 'On a sample of the images; raw pixels and random initialization do not learn.')
    report.picture(draw_curves(read_log(work_dir)), 'Losses (blue) and monitors of collapse (green).')
    Image.fromarray(draw_views(report, cfg, demo.trained(base=False))).save(
        work_dir / 'reconstructions.png', optimize=True
    )
    report.text(f'The whole demo took {time.time() - begin:.0f} s.')
    return report.write(work_dir / 'report.html')


def run_demo(demo: Demo, train_base: bool, store: bool) -> Path:
    """The whole demo; returns the path of the report."""
    begin = time.time()
    evaluation = demo.evaluation()
    demo.train(base=False)
    print('== evaluating beside raw pixels and random initialization', flush=True)
    ours, results = evaluation.run(demo.trained(base=False)), evaluation.controls(demo.cfg(base=True).model, demo.seed)
    stored = None if train_base else stored_base(demo)
    label = f'{demo.name} alone'
    if stored is None:
        demo.train(base=True)
        base, curve = evaluation.run(demo.trained(base=True)), demo.curve(base=True)
        if store:
            store_base(demo, base)
    else:
        base, curve, label = stored['result'], stored['curve'], f'{label} (stored)'
    results = {**results, label: base, f'{demo.name} + recon': ours}
    write_json(demo.work_dir(base=False) / 'results.json', results)
    print(format_table(table_rows(results)), flush=True)
    report = write_report(demo, results, curve, label, begin)
    print(f'took {time.time() - begin:.0f} s; report: {report.resolve()}', flush=True)
    return report
