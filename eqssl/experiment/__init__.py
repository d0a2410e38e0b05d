"""The record of a run or an evaluation: one form on disk, one reader, one table."""

from eqssl.experiment.measures import heading, main_keys
from eqssl.experiment.reader import read_experiments, read_groups
from eqssl.experiment.record import FILE, OWN, Experiment, Measures, begin, fingerprint, finish, write
from eqssl.experiment.table import make_table, parse_pairs

__all__ = [
    'FILE',
    'OWN',
    'Experiment',
    'Measures',
    'begin',
    'fingerprint',
    'finish',
    'heading',
    'main_keys',
    'make_table', 'parse_pairs',
    'read_experiments',
    'read_groups',
    'write',
]  # fmt: skip
