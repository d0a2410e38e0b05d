"""What measures are called: keys of results, headings of tables and curves. Known here and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterable

NAMES = {
    'knn_top1': 'kNN top-1',
    'linear_top1': 'linear top-1',
    'rankme': 'RankMe',
    'feature_std': 'feature std',
    'minutes': 'minutes',
}
ERRORS = ('knn_error', 'linear_error')
PATHS = ('rotation', 'translation', 'color', 'blur', 'mean')
LOWER_IS_BETTER = re.compile(r'loss|error|rmse|mae\b|abs_rel|sq_rel|perplexity', re.IGNORECASE)
BESIDE = ('step', 'iter', 'epoch', 'time', 'data_time', 'memory')  # of a log line: not measures


def r2_key(path: str, probe: str = 'mlp', part: str = 'all') -> str:
    """R2 of a path: ``r2/rotation/all/mlp``."""
    return f'r2/{path}/{part}/{probe}'


def heading(key: str) -> str:
    """'r2/rotation/all/mlp' is 'R2 rotation', 'r2/mean/equi/ridge' is 'R2 mean (equi, ridge)'."""
    words = key.split('/')
    if words[0] == 'r2' and len(words) == 4:
        beside = [word for word, usual in zip(words[2:], ('all', 'mlp'), strict=True) if word != usual]
        return f'R2 {words[1]}' + (f' ({", ".join(beside)})' if beside else '')
    if words[0] == 'latent':
        return f'R2 true {"/".join(words[1:])}'
    return NAMES.get(key, key)


def error_key(key: str) -> str:
    """Where the standard error over test images of a measure stands."""
    if key.startswith('r2/'):
        return key.replace('r2/', 'r2_error/', 1)
    return {'knn_top1': 'knn_error', 'linear_top1': 'linear_error'}.get(key, '')


def is_measure(key: str) -> bool:
    """Whether a key is a result of its own: no place in time, no standard error, no second definition of another."""
    return key not in (*BESIDE, *ERRORS) and not key.startswith(('r2_error/', 'r2_global/'))


def main_keys(known: Iterable[str]) -> list[str]:
    """Of the measures that are there, those that a table shows: kNN, R2 per path, R2 of true factors, RankMe, cost."""
    known = list(dict.fromkeys(known))
    kinds = [key.split('/', 2)[2] for key in known if key.startswith('r2/')]  # part/probe
    kind = next((usual for usual in ('all/mlp', 'all/ridge') if usual in kinds), kinds[0] if kinds else '')
    paths = [key for key in known if key.startswith('r2/') and key.split('/', 2)[2] == kind]
    paths.sort(key=lambda key: PATHS.index(path) if (path := key.split('/')[1]) in PATHS else len(PATHS))
    latents = [key for key in known if key.startswith('latent/')]
    return [
        key for key in ('knn_top1', 'linear_top1', *paths, *latents, 'rankme', 'feature_std', 'minutes') if key in known
    ]


def lower_is_better(key: str) -> bool:
    """Whether a measure is an error or a loss."""
    return bool(LOWER_IS_BETTER.search(key))
