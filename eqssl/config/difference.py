"""What differs between the config of a checkpoint and the one that continues it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mmengine.config import Config

from eqssl.config.text import read_config_text
from eqssl.utils.errors import UserError

# How and where a run is started, not what it is.
_START = (
    'work_dir', 'resume', 'resume_file', 'load_from', 'launcher', 'experiment_name', 'filename', 'text',
    'env_variables', 'model_wrapper_cfg', 'train_dataloader.pin_memory', 'checkpoint', 'model.backbone.init_cfg',
)  # fmt: skip
_NOTHING = object()


@dataclass(frozen=True)
class Difference:
    """A config key that changed.

    Attributes:
        key: dotted, list places as numbers.
        old, new: as text; 'not set' where there is none.
    """

    key: str
    old: str
    new: str

    def __str__(self) -> str:
        return f'{self.key} was {self.old}, is {self.new}'

    def under(self, *keys: str) -> bool:
        """Whether it lies at or below one of some keys."""
        return any(self.key == key or self.key.startswith(key + '.') for key in keys)


def _show(value: object, other: object) -> str:
    """At most about 80 characters, from where it differs from the other value."""
    text = 'not set' if value is _NOTHING else repr(value)
    if len(text) <= 80:
        return text
    pairs = zip(text, repr(other), strict=False)
    common = next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(text), len(repr(other))))
    start = max(0, min(common - 20, len(text) - 74))
    return ('...' if start else '') + text[start : start + 74] + ('...' if start + 74 < len(text) else '')


def _walk(old: object, new: object, key: str) -> Iterator[Difference]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            yield from _walk(old.get(name, _NOTHING), new.get(name, _NOTHING), f'{key}.{name}' if key else str(name))
    elif isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)) and len(old) == len(new):
        for number, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from _walk(a, b, f'{key}.{number}')
    elif old is _NOTHING or new is _NOTHING or old != new:
        yield Difference(key, _show(old, new), _show(new, old))


def differences(stored: str, cfg: Config) -> list[Difference] | None:
    """Keys of a run that differ, without those that only say how and where it was started.

    Args:
        stored: the config inside a checkpoint, as text (``Config.pretty_text``); it is not executed.
        cfg: the present one.

    Returns:
        None where one of the two is more than plain data and cannot be compared.
    """
    try:
        old, new = read_config_text(stored), read_config_text(cfg.pretty_text)
    except UserError:
        return None
    return [found for found in _walk(old, new, '') if not found.under(*_START)]
