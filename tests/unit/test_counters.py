"""Invariant 6: counters as gates. A step between log intervals reads nothing back."""

from __future__ import annotations

import pytest
import torch

from eqssl.utils.counters import HostReads, count_step, flop_counter
from tests.helpers import batch, build_model, model_config, total_loss

pytestmark = pytest.mark.usefixtures('registered')


def test_host_reads_are_seen():
    x = torch.ones(3)
    with HostReads() as reads:
        x.sum().item()
        float(x[0])
        bool(x[1] > 0)
    assert reads.reads == 3


@pytest.mark.parametrize('recon', [True, False])
@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
def test_a_whole_step_reads_nothing_back(recon, precision):
    """Preprocessor, forward, losses, backward, clipping, finite check, optimizer, teacher and centers."""
    from eqssl.engine import OptimWrapper

    model = build_model(model_config(recon))
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, fused=True)
    wrapper = OptimWrapper(optimizer, clip_grad=dict(max_norm=3.0, per_parameter=True), precision=precision)
    data = batch()
    model.train_step(data, wrapper)  # allocates optimizer state
    model.after_step(wrapper.finite)
    with HostReads() as reads:
        model.train_step(data, wrapper)
        model.after_step(wrapper.finite)
    assert reads.reads == 0


def test_flops_of_a_linear_and_of_attention_are_exact():
    x = torch.randn(2, 5, 8, requires_grad=True)
    linear = torch.nn.Linear(8, 3)
    with flop_counter() as flops:
        linear(x)
    assert flops.get_total_flops() == 2 * 10 * 8 * 3
    q = torch.randn(1, 2, 6, 4)
    with flop_counter() as flops:
        torch.nn.functional.scaled_dot_product_attention(q, q, q)
    assert flops.get_total_flops() == 2 * 2 * 2 * 6 * 6 * 4  # two products, two heads


def test_counts_on_meta_tensors_equal_counts_on_real_ones():
    """The profiler runs on the meta device; FLOPs must be those of the real step."""
    from eqssl.registry import MODELS
    from eqssl.utils.meta import to_meta

    def run(model, data):
        return count_step(lambda: total_loss(model, data)[0], list(model.parameters()), 6)

    real = run(build_model(), batch())
    with torch.device('meta'):
        meta = MODELS.build(model_config()).train()
    meta.data_preprocessor._device = torch.device('meta')
    counted = run(meta, to_meta(batch()))
    assert counted.flops_per_image == pytest.approx(real.flops_per_image, rel=1e-6)
    assert counted.backbone_calls == real.backbone_calls == 3 and real.host_reads == 0


def test_ema_takes_a_handful_of_calls():
    model = build_model()
    model.after_step(torch.tensor(True))
    with HostReads() as reads:
        model.teacher.update(model, 0.99, torch.tensor(True))
    assert reads.calls <= 10 and reads.reads == 0


def test_saved_bytes_grow_with_the_batch_and_not_with_the_weights():
    model = build_model()

    def saved(n):
        return count_step(lambda: total_loss(model, batch(n))[0], list(model.parameters()), n).saved_bytes_per_image

    assert saved(8) == pytest.approx(saved(4), rel=0.1)
