"""What was done, on which data, with what, and what came out; docs/en/user_guides/experiments.md has the schema."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from eqssl.utils.errors import UserError
from eqssl.utils.tables import write_json
from eqssl.version import __version__

FILE = 'experiment.json'  # in a work dir
FORMAT = 1
OWN = 'trained'  # the network that the record is about; others beside it are its controls
PACKAGES = (
    'torch', 'torchvision', 'onedl-mmengine', 'onedl-mmcv', 'onedl-mmpretrain', 'onedl-mmsegmentation',
    'onedl-mmdetection', 'timm', 'numpy', 'opencv-python-headless', 'pillow',
)  # fmt: skip
WHERE = ('work_dir', 'launcher', 'resume', 'resume_file')  # keys that change no result
SESSION = ('begun', 'config', 'data', 'versions', 'hardware')  # what is told of each time that a run was continued
SAMPLE = 65536  # images that a fingerprint of data looks at
Measures = dict[str, float]


@dataclass
class Experiment:
    """One run or evaluation.

    Attributes:
        name: of the network in tables: the config's.
        kind: 'pre-training', 'fine-tuning' or 'evaluation'.
        begun: when, ISO 8601.
        config: ``file`` and ``fingerprint``, see :func:`fingerprint`.
        data: ``root``, number of ``images``, ``fingerprint``.
        seed: of everything that is drawn.
        batch: images per iteration over all ranks.
        versions: package -> version.
        hardware: ``device``, ``ranks``, ``threads``.
        resumed: when, where and with what the run was continued: ``begun``, ``config``, ``data``, ``versions`` and
            ``hardware`` each; a record that begins at a resume has its own first of all.
        cost: ``minutes`` of training, ``images`` seen.
        results: network -> measures; :data:`OWN` and its controls.
        curve: measures during training, each with ``iter``.
    """

    name: str
    kind: str = ''
    begun: str = ''
    config: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None
    batch: int | None = None
    versions: dict[str, str] = field(default_factory=dict)
    hardware: dict[str, Any] = field(default_factory=dict)
    resumed: list[dict[str, Any]] = field(default_factory=list)
    cost: Measures = field(default_factory=dict)
    results: dict[str, Measures] = field(default_factory=dict)
    curve: list[Measures] = field(default_factory=list)

    @property
    def values(self) -> Measures:
        """The last measures of the network, and its cost."""
        return {**self.cost, **self.results.get(OWN, self.curve[-1] if self.curve else {})}

    @property
    def controls(self) -> dict[str, Measures]:
        """Other networks under the same evaluation."""
        return {name: found for name, found in self.results.items() if name != OWN}

    def to_json(self) -> dict[str, Any]:
        """``{'experiment': ..., NETWORK: measures, ..., 'curve': [...]}``; empty fields are left out."""
        header = {
            k: v for k, v in asdict(self).items() if k not in ('results', 'curve') and v not in (None, '', {}, [])
        }
        return {
            'experiment': {'format': FORMAT, **header},
            **self.results,
            **({'curve': self.curve} if self.curve else {}),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any], name: str) -> Experiment:
        """Read :meth:`to_json`'s; a table of measures, or measures alone, with or without a header are records too.

        Raises:
            UserError: written by a later eqssl, or no record.
        """
        if not isinstance(value, dict):
            raise UserError('is no record of an experiment')
        header = dict(value.get('experiment') or {})
        found = header.pop('format', FORMAT)
        if found != FORMAT:
            raise UserError(f'has format {found}, this eqssl reads {FORMAT}; update eqssl')
        fields = cls.__dataclass_fields__
        results = {k: v for k, v in value.items() if k not in ('experiment', 'curve') and isinstance(v, dict)}
        for network, measures in results.items():
            for key, number in measures.items():
                if not isinstance(number, (int, float)):
                    raise UserError(f'is no record of an experiment ({network}: {key}={number!r} is no number)')
        flat = {k: v for k, v in value.items() if isinstance(v, (int, float))}  # measures of the one network
        results |= {OWN: flat} if flat and OWN not in results else {}
        known = {k: v for k, v in header.items() if k in fields}
        return cls(**{'name': name, **known, 'results': results, 'curve': value.get('curve') or []})


def fingerprint(value: object, leave_out: Sequence[str] = WHERE) -> str:
    """A name for a config or a part of one, equal for equal settings; the seed and where a run lies are none."""
    plain = value.to_dict() if hasattr(value, 'to_dict') else value  # a Config
    if isinstance(plain, dict) and leave_out:
        plain = {k: v for k, v in plain.items() if k not in leave_out}
        if isinstance(plain.get('randomness'), dict):  # the seed stands beside it
            plain['randomness'] = {k: v for k, v in plain['randomness'].items() if k != 'seed'}
    return hashlib.sha256(json.dumps(plain, default=str, sort_keys=True).encode()).hexdigest()[:12]


def versions() -> dict[str, str]:
    """Of Python, eqssl and the packages below it."""
    found = {'python': platform.python_version(), 'eqssl': __version__}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def hardware(ranks: int = 1) -> dict[str, Any]:
    """What a process computes on."""
    import torch  # records are read without it

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f'CPU ({platform.machine()})'
    return {'device': device, 'ranks': ranks, 'threads': torch.get_num_threads()}


def describe_data(dataset: Any, root: object = None) -> dict[str, Any]:
    """Number of images, and a hash over what they are called or contain and their labels (of 65 536 at most)."""
    source = getattr(dataset, 'source', dataset)
    found: dict[str, Any] = {'root': str(root)} if root is not None else {}
    found['images'] = count = len(source)
    if hasattr(source, 'key') and hasattr(source, 'label'):
        digest = hashlib.blake2b(str(count).encode(), digest_size=8)
        for i in range(0, count, -(-count // SAMPLE) or 1):
            digest.update(f'{source.key(i)} {source.label(i)} '.encode())
        found['fingerprint'] = digest.hexdigest()
    return found


def now() -> str:
    """The time, UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')


def begin(folder: Path, experiment: Experiment, goes_on: bool) -> None:
    """Write the record of a run that begins in a work dir; one that goes on keeps its own and adds when and where."""
    file = folder / FILE
    if goes_on:
        session = {k: getattr(experiment, k) for k in SESSION}
        experiment = read_record(file) if file.is_file() else experiment
        experiment.resumed.append(session)
        experiment.results, experiment.cost = {}, {}  # of a run that was complete, and is trained further
    write(file, experiment)


def finish(folder: Path, results: dict[str, Measures], cost: Measures) -> None:
    """Add what came out to the record of a work dir."""
    experiment = read_record(folder / FILE)
    experiment.results |= results
    experiment.cost = cost
    write(folder / FILE, experiment)


def write(file: str | Path, experiments: Experiment | Iterable[Experiment]) -> None:
    """One record, or several as ``{'experiments': [...]}``; the whole file or nothing.

    Raises:
        UserError: it cannot be written.
    """
    one = isinstance(experiments, Experiment)
    write_json(file, experiments.to_json() if one else {'experiments': [e.to_json() for e in experiments]})  # type: ignore[union-attr]


def read_record(file: Path) -> Experiment:
    """The one record of a file.

    Raises:
        UserError: no JSON, or no record.
    """
    try:
        return Experiment.from_json(json.loads(file.read_text(encoding='utf-8')), file.parent.name)
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
        raise UserError(f"'{file}' is no record of an experiment ({error}); delete it") from error
    except UserError as error:
        raise UserError(f"'{file}' {error}") from error
