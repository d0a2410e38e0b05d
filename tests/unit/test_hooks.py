"""Hooks: unreadable images, log lines, signals; every stateful hook speaks the state protocol."""

from __future__ import annotations

import json
import signal
from types import SimpleNamespace

import pytest
import torch

from eqssl.engine import hooks
from eqssl.utils.errors import UserError
from eqssl.utils.json_lines import keep_until


class Logger:
    def __init__(self):
        self.lines = []

    def info(self, text):
        self.lines.append(text)

    warning = info


def runner(tmp_path, **kw):
    return SimpleNamespace(work_dir=str(tmp_path), logger=Logger(), **kw)


def batch(n, bad=()):
    return {'index': torch.arange(n), 'unreadable': list(bad)}


def test_unreadable_images_are_listed_once_and_stop_the_run_above_the_share(tmp_path):
    hook, run = hooks.UnreadableImagesHook(max_share=0.1, min_tried=20), runner(tmp_path)
    for _ in range(2):
        hook.before_train_iter(run, 0, batch(8, [('a.jpg', 'empty file')]))
    assert (tmp_path / 'unreadable.txt').read_text() == 'a.jpg\tempty file\n' and hook.failures == 2
    with pytest.raises(UserError, match='max_share=0.1'):
        hook.before_train_iter(run, 0, batch(8, [('b.jpg', 'truncated'), ('c.jpg', 'truncated')]))
    assert 'b.jpg' in (tmp_path / 'unreadable.txt').read_text()
    fresh = hooks.UnreadableImagesHook()
    fresh.load_state_dict(hook.state_dict())
    assert fresh.state_dict() == hook.state_dict()


def test_log_lines_that_will_be_written_again_and_torn_ones_are_dropped(tmp_path):
    file = tmp_path / 'log.jsonl'
    file.write_text(''.join(json.dumps({'iter': i}) + '\n' for i in (1, 2, 3)) + '{"iter": 4, "lo')
    keep_until(file, 2)
    assert [json.loads(x)['iter'] for x in file.read_text().splitlines()] == [1, 2]


def log_runner(tmp_path, maximum=4):
    wrapper = SimpleNamespace(
        grad_norm=torch.tensor(2.0), nonfinite_steps=torch.tensor(0.0), nonfinite_run=torch.tensor(0.0),
        optimizer=SimpleNamespace(param_groups=[{'lr': 0.1}]),
    )  # fmt: skip
    return runner(
        tmp_path, iter=0, max_iters=maximum, global_batch=4, optim_wrapper=wrapper,
        bare_model=SimpleNamespace(costly_monitors=lambda: {'rankme': 3.0}), monitors={},
        train_loop=SimpleNamespace(iters_per_epoch=2), visualizer=SimpleNamespace(add_scalars=lambda *a, **k: None),
    )  # fmt: skip


def test_log_writes_means_once_per_interval_and_reads_nothing_in_between(tmp_path):
    from eqssl.utils.counters import HostReads

    hook, run = hooks.LogHook(interval=2, bar=False), log_runner(tmp_path)
    hook.before_train(run)
    for i, loss in enumerate([1.0, 3.0, 5.0, 9.0]):
        run.iter = i
        with HostReads() as reads:
            hook.after_train_iter(run, i, outputs={'loss': torch.tensor(loss)})
        if i % 2 == 0:
            assert reads.reads == 0
    lines = [json.loads(x) for x in (tmp_path / 'log.jsonl').read_text().splitlines()]
    assert [(x['iter'], x['loss'], x['epoch']) for x in lines] == [(2, 2.0, 1.0), (4, 7.0, 2.0)]


def test_sums_of_other_losses_begin_anew_and_a_damaged_log_is_cut(tmp_path):
    hook, run = hooks.LogHook(interval=2, bar=False), log_runner(tmp_path)
    hook.load_state_dict({'sums': torch.ones(7), 'count': 1})  # of a run that had other tasks
    (tmp_path / 'log.jsonl').write_bytes(b'{"iter": 0}\n[3]\n{"iter": 0}\n\xff\xfe')
    hook.before_train(run)
    assert (tmp_path / 'log.jsonl').read_text() == '{"iter": 0}\n'
    for i, loss in enumerate([1.0, 3.0]):
        run.iter = i
        hook.after_train_iter(run, i, outputs={'loss': torch.tensor(loss)})
    assert json.loads((tmp_path / 'log.jsonl').read_text().splitlines()[-1])['loss'] == 2.0


def test_persisting_non_finite_steps_stop_the_run_with_a_way_out(tmp_path):
    hook, run = hooks.LogHook(interval=1, max_nonfinite=3, bar=False), log_runner(tmp_path)
    run.optim_wrapper.nonfinite_run = torch.tensor(3.0)
    hook.before_train(run)
    with pytest.raises(UserError, match='3 steps in a row .* optim_wrapper.optimizer.lr'):
        hook.after_train_iter(run, 0, outputs={'loss': torch.tensor(1.0)})


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_saves_and_stops_at_the_step_boundary(tmp_path, number):
    saved, ready = [], [True]
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGUSR1)}
    hook = hooks.SignalHook()
    writer = hooks.CheckpointHook()
    writer.save = lambda run, done: saved.append(done)
    run = runner(
        tmp_path, iter=6, max_iters=10, hooks=[writer, hook], train_loop=SimpleNamespace(stop_training=False),
        optim_wrapper=SimpleNamespace(should_update=lambda: ready[0]),
    )  # fmt: skip
    try:
        hook.before_run(run)
        hook.after_train_iter(run, 6)
        assert not saved and not run.train_loop.stop_training
        signal.raise_signal(number)
        ready[0] = False
        hook.after_train_iter(run, 6)
        assert not saved, 'gradients are being accumulated: wait for the step'
        ready[0], run.iter = True, 7
        hook.after_train_iter(run, 7)
    finally:
        for n, handler in before.items():
            signal.signal(n, handler)
    assert saved == [8] and run.interrupted and run.train_loop.stop_training


def test_a_signal_without_a_checkpoint_hook_stops_all_the_same(tmp_path):
    hook = hooks.SignalHook()
    run = runner(
        tmp_path, iter=1, max_iters=10, hooks=[hook], train_loop=SimpleNamespace(stop_training=False),
        optim_wrapper=SimpleNamespace(should_update=lambda: True),
    )  # fmt: skip
    hook.received = signal.SIGTERM
    hook.after_train_iter(run, 1)
    assert run.interrupted and run.train_loop.stop_training


def test_an_interrupted_trial_promises_nothing(capsys):
    from eqssl.apps.trial import TrialHook

    TrialHook().after_train(SimpleNamespace(interrupted=True))
    assert capsys.readouterr().out == ''


def test_a_checkpoint_between_accumulated_parts_waits_for_the_step(tmp_path):
    saved, ready = [], [False]
    writer = hooks.CheckpointHook(interval=3, by_epoch=False)
    writer.save = lambda run, done: saved.append(done)
    run = runner(tmp_path, iter=2, max_iters=10, optim_wrapper=SimpleNamespace(should_update=lambda: ready[0]))
    writer.after_train_iter(run, 2)
    assert not saved
    ready[0], run.iter = True, 3
    writer.after_train_iter(run, 3)
    assert saved == [4]


def test_hooks_that_change_over_time_have_a_state():
    """A new hook with attributes that change must say how to save them, or stand in this list with a reason."""
    derived = {
        'CheckpointHook',  # settings only
        'AdaptiveTopKHook',  # a function of the iteration
        'EvaluationHook',  # holds a cache of images
        'RuntimeInfoHook',  # writes, holds nothing
        'SignalHook',  # a signal belongs to a process
        'TeacherEMAHook',  # the teacher is in the model
    }
    for name in hooks.__all__:
        cls = getattr(hooks, name)
        assert name in derived or (hasattr(cls, 'state_dict') and hasattr(cls, 'load_state_dict')), name


@pytest.mark.parametrize(
    'build',
    [
        lambda: hooks.CheckpointHook(interval=0),
        lambda: hooks.CheckpointHook(keep=0),
        lambda: hooks.LogHook(interval=0),
        lambda: hooks.UnreadableImagesHook(2),
    ],
)
def test_wrong_settings_name_the_config_key(build):
    with pytest.raises(UserError, match='default_hooks'):
        build()


def test_two_hooks_of_one_class_keep_their_own_states():
    from types import SimpleNamespace

    from eqssl.engine import GradientSNRHook, Runner, UnreadableImagesHook

    first, other, second = GradientSNRHook(), UnreadableImagesHook(), GradientSNRHook()
    named = Runner._stateful_hooks(SimpleNamespace(hooks=[first, other, second]))
    assert named == {'GradientSNRHook': first, 'UnreadableImagesHook': other, 'GradientSNRHook.2': second}
