"""The demo: the main job, small. Trains in a process of its own, evaluates beside controls, writes a report."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from eqssl.apps.compare import Comparison, Sample
from eqssl.apps.evaluate import load_model
from eqssl.checkpoint.store import list_checkpoints
from eqssl.evaluation.drawings import pca_at_higher_resolution, reconstruction_rows
from eqssl.experiment import OWN, Experiment, Measures, heading, make_table, read_experiments, write
from eqssl.experiment.measures import r2_key
from eqssl.registry import DATASETS
from eqssl.utils.errors import UserError
from eqssl.utils.places import shipped
from eqssl.utils.tables import format_table
from eqssl.visualization import Report
from eqssl.visualization.curves import draw_comparison, draw_curves, read_log
from eqssl.visualization.pictures import montage, with_captions

if TYPE_CHECKING:
    from eqssl.models.pretrainer import SSLPretrainer

CONFIGS = shipped('configs', 'demo')
STORED = shipped('demo', 'base_results.json')
METHODS = {'simclr': 'SimCLR', 'ibot': 'iBOT'}
CURVES = ('knn_top1', r2_key('mean', 'ridge'))
SAMPLE = Sample(108, tasks=('knn', 'progress'), own=('progress',), limits={'train': 1000, 'test': 500})
DIGITS = 4  # of stored measures
Groups = dict[str, list[Experiment]]


@dataclass(frozen=True)
class Demo:
    """One run of the demo: base + reconstruction beside the base, of one seed.

    Attributes:
        method: key of :data:`METHODS`, the base method.
        data: 'photos', 'objects' or 'cifar10'.
        seed: of everything.
        options: further ``--cfg-options``.
        folder: of its runs.
    """

    method: str
    data: str
    seed: int
    options: tuple[str, ...] = ()
    folder: Path = Path('work_dirs/demo')

    @property
    def name(self) -> str:
        """Of the base method."""
        return METHODS[self.method]

    def names(self) -> tuple[str, str]:
        """Of base + reconstruction and of the base, in tables."""
        return f'{self.name} + recon', f'{self.name} alone'

    @cached_property
    def comparison(self) -> Comparison:
        """Of the two configs."""
        return Comparison(self.folder, self.options, sample=SAMPLE)

    def work_dir(self, base: bool = False) -> Path:
        """Of the training with reconstruction, or of the base alone."""
        return self.comparison.work_dir(self.config(base), self.seed)

    def config(self, base: bool = False) -> Path:
        """The config file.

        Raises:
            UserError: there is none for this method on these data.
        """
        path = CONFIGS / f'{self.method}{"" if base else "_recon"}_{self.data}.py'
        if not path.is_file():
            there = sorted(p.stem.partition('_recon_')[2] for p in CONFIGS.glob(f'{self.method}_recon_*.py'))
            raise UserError(f"--data {self.data}: {self.name} has no config '{path.name}'; it has {', '.join(there)}")
        return path

    def cfg(self, base: bool = False) -> Any:
        """The config, complete."""
        return self.comparison.config(self.config(base), self.seed)

    def trained(self) -> Any:
        """The model with reconstruction, of the last checkpoint."""
        return load_model(self.cfg(), str(list_checkpoints(self.work_dir())[-1]))


def stored_base(demo: Demo) -> Experiment | None:
    """The stored result of the base method alone: the same config, command and seed."""
    if demo.options or not STORED.is_file():
        return None
    config = demo.config(base=True)
    there = [e for e in read_experiments(STORED) if (e.name, e.seed) == (config.stem, demo.seed)]
    if there and there[0].config['fingerprint'] != demo.comparison.mark(config, demo.seed):
        print(f'the stored result of {demo.name} alone is of another config: it is trained', flush=True)
        return None
    return there[0] if there else None


def store_base(base: Experiment) -> None:
    """Add a result of the base method to the stored ones (maintainers, after a change of the demo)."""
    others = read_experiments(STORED) if STORED.is_file() else []
    kept = [e for e in others if (e.name, e.seed) != (base.name, base.seed)]

    def rounded(measures: Measures, keys: Iterable[str]) -> Measures:
        return {k: round(measures[k], DIGITS) for k in keys if k in measures}

    own = {k: v for k, v in base.results[OWN].items() if 'global' not in k}
    short = replace(
        base,
        config={**base.config, 'file': Path(base.config['file']).name},
        cost=rounded(base.cost, base.cost),
        results={OWN: rounded(own, own)},
        curve=[rounded(line, ('iter', *CURVES)) for line in base.curve],
    )
    write(STORED, sorted([*kept, short], key=lambda e: (e.name, e.seed)))


def in_plain_colors(dataset: dict) -> dict:
    """A data set whose views are crops alone, so that one sees in pictures what is there."""
    off = dict.fromkeys(('jitter_prob', 'gray_prob', 'blur_prob', 'solarize_prob'), 0.0)
    views = [{**view, **off} for view in dataset['views']['views']]
    return {**dataset, 'views': {**dataset['views'], 'views': views}, 'cut': 'worker'}


def draw_views(report: Report, cfg: Any, model: SSLPretrainer, columns: int = 8) -> np.ndarray:
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


def write_report(demo: Demo, groups: Groups, rows: list[dict[str, Any]], begin: float) -> Path:
    """``report.html`` in the work dir, with the table, curves and pictures; the last two also as PNG files."""
    cfg, work_dir = demo.cfg(), demo.work_dir()
    report = Report(f'eqssl demo: {demo.name} + intermediate reconstruction on {demo.data}, seed {demo.seed}')
    report.text(
        f'{cfg.train_cfg.max_iters} iterations of {cfg.train_dataloader.batch_size} images. kNN top-1 '
        'says how well images of one class lie together; R2 how much of a transformation can be read from the features '
        'of an image and its transformed copy by a small MLP (1 is all, 0 is nothing).'
    )
    report.table(rows)
    measured = [found for runs in groups.values() for found in runs[0].results.values()]
    error = max(v for r in measured for k, v in r.items() if k.startswith('r2_error/') and k.endswith('/mlp'))
    knn_error = max(r['knn_error'] for r in measured if 'knn_error' in r)
    report.text(f'Standard errors over test images: kNN at most {knn_error:.3f}, R2 of a path at most {error:.3f}.')
    report.heading('During training')
    curves = {name: [run.curve for run in runs if run.curve] for name, runs in groups.items()}
    flat = demo.comparison.flat_lines(demo.config(base=True), demo.seed)
    picture = draw_comparison({k: v for k, v in curves.items() if v}, {heading(key): key for key in CURVES}, flat)
    Image.fromarray(picture).save(work_dir / 'curves.png', optimize=True)
    report.picture(picture, 'On a sample of the images; raw pixels and random initialization do not learn.')
    report.picture(draw_curves(read_log(work_dir)), 'Losses (blue) and monitors of collapse (green).')
    Image.fromarray(draw_views(report, cfg, demo.trained())).save(work_dir / 'reconstructions.png', optimize=True)
    report.text(f'The whole demo took {time.time() - begin:.0f} s.')
    return report.write(work_dir / 'report.html')


def run_demo(demo: Demo, train_base: bool, store: bool) -> tuple[Path, list[dict[str, Any]]]:
    """The whole demo, from the start; returns the path of the report and the table."""
    begin = time.time()
    comparison, (name, base_name) = demo.comparison, demo.names()
    ours = comparison.run(demo.config(), demo.seed, resume=False)
    print('== evaluating raw pixels and random initialization', flush=True)
    ours.results |= comparison.controls(demo.config(base=True), demo.seed)
    base = None if train_base else stored_base(demo)
    if base is None:
        base = comparison.run(demo.config(base=True), demo.seed, resume=False)
        if store:
            store_base(base)
    else:
        base_name += ' (stored)'
    groups = {base_name: [base], name: [ours]}
    rows = make_table(groups, pairs=[(name, base_name)])
    print(format_table(rows), flush=True)
    report = write_report(demo, groups, rows, begin)
    print(f'took {time.time() - begin:.0f} s; report: {report.resolve()}', flush=True)
    return report, rows
