"""A work dir holds one run: used ones are refused, two processes never meet, the lock ends with its process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from eqssl.checkpoint.store import write_checkpoint
from eqssl.engine.work_dir import WorkDirLock, claimed, clear, continues, refuse_used, traces
from eqssl.utils.errors import UserError
from tests.conftest import ROOT

HOLD = """
import sys, time
sys.path.insert(0, sys.argv[2])
from eqssl.engine.work_dir import WorkDirLock
lock = WorkDirLock(sys.argv[1])
import os
if len(sys.argv) > 3 and os.fork() == 0:  # a data worker that outlives its parent
    time.sleep(30)
print('held', flush=True)
time.sleep(30)
"""


def holder(folder, *more):
    process = subprocess.Popen(
        [sys.executable, '-c', HOLD, str(folder), str(ROOT), *more], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == 'held\n'
    return process


def test_traces_of_a_run(tmp_path):
    refuse_used(str(tmp_path))
    (tmp_path / 'log.jsonl').write_text('')
    (tmp_path / 'config.py').write_text('x = 1')
    refuse_used(str(tmp_path))
    for i in (1, 2):
        write_checkpoint(tmp_path / f'iter_{i}.pth', {})
    (tmp_path / 'log.jsonl').write_text('{"iter": 1}\n')
    assert traces(tmp_path) == ['iter_2.pth', 'iter_1.pth', 'log.jsonl']
    with pytest.raises(UserError, match=r'holds a run already \(iter_2.pth, iter_1.pth, log.jsonl\); .*--resume'):
        refuse_used(str(tmp_path))


@pytest.mark.parametrize('more', [(), ('fork',)])
def test_two_processes_never_share_a_work_dir_and_a_killed_one_gives_it_free(tmp_path, more):
    process = holder(tmp_path, *more)
    try:
        for resume in (False, True):
            message = rf'is in use by process {process.pid} on \S+; wait for it'
            with pytest.raises(UserError, match=message), claimed(str(tmp_path), resume):
                pytest.fail('two at once')
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    deadline = time.time() + 5
    while True:
        try:
            WorkDirLock(str(tmp_path)).release()
            break
        except UserError:
            assert time.time() < deadline
            time.sleep(0.05)
    subprocess.run(['pkill', '-f', str(tmp_path)], check=False)


def test_clearing_takes_every_trace_but_not_of_a_running_job(tmp_path):
    write_checkpoint(tmp_path / 'iter_1.pth', {})
    for name in ('log.jsonl', 'evaluation.jsonl', 'epoch_3.pth'):
        (tmp_path / name).write_text('{}')
    (tmp_path / 'results.json').write_text('{}')
    process = holder(tmp_path)
    with pytest.raises(UserError, match='is in use'):
        clear(tmp_path)
    process.kill()
    process.wait()
    clear(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ['.lock', 'results.json'] and traces(tmp_path) == []
    (tmp_path / '.lock').unlink()
    (tmp_path / '.lock').mkdir()
    with pytest.raises(UserError, match='.lock. cannot be opened .Is a directory.; remove it'):
        WorkDirLock(str(tmp_path))


def test_what_continues_a_work_dir(tmp_path):
    assert continues(str(tmp_path), True, None) and not continues(str(tmp_path), False, None)
    assert continues(str(tmp_path), True, str(tmp_path / 'x' / '..' / 'iter_1.pth'))
    assert not continues(str(tmp_path), True, str(tmp_path.parent / 'iter_1.pth'))


def test_a_claim_ends_with_its_block(tmp_path):
    with claimed(str(tmp_path), False):
        pass
    with pytest.raises(ZeroDivisionError), claimed(str(tmp_path), False):
        raise ZeroDivisionError
    process = holder(tmp_path)
    process.kill()
    process.wait()
