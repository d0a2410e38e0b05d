"""One writer: a crash at any moment leaves the old files whole; damage is seen; nothing is executed."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from eqssl.checkpoint import store
from eqssl.utils.errors import UserError


def content(value: float) -> dict:
    return {'state_dict': {'w': torch.full((64,), value)}}


def test_write_read_and_scan_for_the_newest_valid(tmp_path):
    for i in (5, 10, 100):
        store.write_checkpoint(tmp_path / f'iter_{i}.pth', content(i))
    assert [store.iteration_of(p) for p in store.list_checkpoints(tmp_path)] == [5, 10, 100]
    assert store.newest_valid(tmp_path, print).name == 'iter_100.pth'
    assert store.read_checkpoint(tmp_path / 'iter_10.pth')['state_dict']['w'][0] == 10


@pytest.mark.parametrize('damage', ['truncate', 'empty', 'flip', 'flip, no hash', 'truncate, no hash', 'hash'])
def test_damaged_checkpoints_are_named_and_passed_over(tmp_path, damage):
    for i in (1, 2):
        store.write_checkpoint(tmp_path / f'iter_{i}.pth', content(i))
    newest = tmp_path / 'iter_2.pth'
    raw = bytearray(newest.read_bytes())
    if 'flip' in damage:
        raw[len(raw) // 2] ^= 1
    newest.write_bytes({'truncate': raw[: len(raw) // 2], 'empty': b''}.get(damage.split(',')[0], raw))
    if 'no hash' in damage:
        store.hash_file_of(newest).unlink()
    if damage == 'hash':
        store.hash_file_of(newest).write_bytes(b'\xff\xfe')
    said: list[str] = []
    assert store.newest_valid(tmp_path, said.append).name == 'iter_1.pth'
    assert len(said) == 1 and 'iter_2.pth' in said[0]


class Crash(BaseException):
    pass


def test_dying_at_every_step_of_save_and_prune_keeps_a_valid_checkpoint(tmp_path, monkeypatch):
    """Every fsync, rename and unlink in turn is where the process dies; keep=1."""
    calls, limit = 0, -1

    def wrap(module, name):
        original = getattr(module, name)

        def call(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls == limit:
                raise Crash
            return original(*args, **kwargs)

        monkeypatch.setattr(module, name, call)

    wrap(os, 'fsync')
    wrap(os, 'replace')
    wrap(Path, 'unlink')
    wrap(torch, 'save')
    points = 0
    for limit in range(1, 100):
        folder = tmp_path / str(limit)
        folder.mkdir()
        calls, wanted = -1000, limit
        store.write_checkpoint(folder / 'iter_1.pth', content(1))
        calls = 0
        try:
            store.write_checkpoint(folder / 'iter_2.pth', content(2))
            store.prune(folder, 1)
        except Crash:
            points += 1
            assert store.newest_valid(folder, lambda text: None) is not None, f'lost everything at step {wanted}'
            calls = -1000
            store.write_checkpoint(folder / 'iter_3.pth', content(3))  # the next start saves again
            store.prune(folder, 1)
            assert sorted(p.name for p in folder.iterdir()) == ['iter_3.pth', 'iter_3.pth.sha256']
            continue
        break
    assert points >= 9


def test_disk_full_keeps_the_previous_one_and_leaves_no_partial_file(tmp_path, monkeypatch):
    store.write_checkpoint(tmp_path / 'iter_1.pth', content(1))

    def full(obj, file):
        file.write(b'x' * 100)
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(torch, 'save', full)
    with pytest.raises(UserError, match='No space left on device, .* MiB free'):
        store.write_checkpoint(tmp_path / 'iter_2.pth', content(2))
    assert sorted(p.name for p in tmp_path.iterdir()) == ['iter_1.pth', 'iter_1.pth.sha256']


def test_prune_keeps_the_newest_and_removes_leftovers(tmp_path):
    for i in range(5):
        store.write_checkpoint(tmp_path / f'iter_{i}.pth', content(i))
    (tmp_path / 'iter_9.pth.new').write_bytes(b'x')
    store.prune(tmp_path, 2)
    assert sorted(p.name for p in tmp_path.glob('*.pth*')) == [
        'iter_3.pth', 'iter_3.pth.sha256', 'iter_4.pth', 'iter_4.pth.sha256'
    ]  # fmt: skip


class Payload:
    def __reduce__(self):
        return (os.system, (f'touch {os.environ["EQSSL_PAYLOAD"]}',))


def test_code_in_a_checkpoint_is_refused_and_never_runs(tmp_path, monkeypatch):
    monkeypatch.setenv('EQSSL_PAYLOAD', str(tmp_path / 'ran'))
    torch.save({'state_dict': {}, 'x': Payload()}, tmp_path / 'a.pth')
    (tmp_path / 'b.pth').write_bytes(pickle.dumps(Payload()))
    for name in ('a.pth', 'b.pth'):
        with pytest.raises(UserError, match='refused|not a checkpoint'):
            store.read_checkpoint(tmp_path / name)
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('raw', [b'', b'hello', b'<html>', b'PK\x03\x04 broken zip'])
def test_files_that_are_no_checkpoints_give_one_line(tmp_path, raw):
    (tmp_path / 'x.pth').write_bytes(raw)
    with pytest.raises(UserError, match='x.pth'):
        store.read_checkpoint(tmp_path / 'x.pth')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda s: s.pop('weight'), '1 missing.*weight is missing'),
        (lambda s: s.update(other=torch.zeros(1)), '1 left over.*other is not in the model'),
        (lambda s: s.update(weight=torch.zeros(3, 3)), r'another shape.*weight is \(3, 3\), the model has \(2, 3\)'),
    ],
)
def test_strict_loading_loads_all_or_nothing(change, message):
    model, state = nn.Linear(3, 2), nn.Linear(3, 2).state_dict()
    before = model.weight.clone()
    change(state)
    with pytest.raises(UserError, match=message):
        store.load_strictly(model, state, 'x')
    assert torch.equal(before, model.weight)
    assert store.load_strictly(model, nn.Linear(3, 2).state_dict(), 'x') == 2


def test_random_states_round_trip_through_a_weights_only_file(tmp_path):
    import random

    import numpy as np

    from eqssl.engine.random_state import get_random_state, set_random_state

    store.write_checkpoint(tmp_path / 'iter_1.pth', {'random': get_random_state()})
    wanted = random.random(), np.random.rand(), torch.rand(1)
    set_random_state(store.read_checkpoint(tmp_path / 'iter_1.pth')['random'])
    assert (random.random(), np.random.rand(), torch.rand(1)) == wanted
