"""The linear probe: all heads at once are each head alone; known answers; what chooses is not what is tested."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from eqssl.evaluation import FeatureStore, LinearProbe
from eqssl.evaluation.linear import accuracies, fit_heads
from eqssl.utils.errors import UserError

pytestmark = pytest.mark.usefixtures('registered')


def blobs(count, classes=4, width=6, spread=0.3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    centers = 2 * torch.eye(classes, width)
    return (centers[labels] + spread * torch.randn(count, width, generator=generator)).double(), labels


def one_head(x, labels, classes, rate, epochs, batch, momentum, seed):
    """Plain SGD by autograd, one head, one learning rate."""
    weight = torch.zeros(x.shape[1], classes, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([weight, bias], lr=rate, momentum=momentum)
    generator = torch.Generator().manual_seed(seed)
    steps, done = epochs * math.ceil(len(x) / batch), 0
    for _ in range(epochs):
        for index in torch.randperm(len(x), generator=generator).split(batch):
            optimizer.param_groups[0]['lr'] = rate * batch / 256 * 0.5 * (1 + math.cos(math.pi * done / steps))
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(x[index] @ weight + bias, labels[index]).backward()
            optimizer.step()
            done += 1
    return weight.detach(), bias.detach()


def test_all_heads_at_once_are_each_head_alone():
    x, labels = blobs(70)
    rates = (0.01, 0.3, 5.0)
    weight, bias = fit_heads(x, labels, 4, rates, epochs=3, batch_size=16, momentum=0.9, seed=5)
    assert weight.shape == (6, 3, 4) and bias.shape == (3, 4)
    for number, rate in enumerate(rates):
        w, b = one_head(x, labels, 4, rate, 3, 16, 0.9, 5)
        torch.testing.assert_close(weight[:, number], w, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(bias[number], b, rtol=1e-9, atol=1e-12)


def test_accuracy_by_hand():
    weight, bias = torch.eye(2).unsqueeze(1).repeat(1, 2, 1), torch.tensor([[0.0, 0.0], [0.0, 9.0]])
    x, labels = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0]]), torch.tensor([0, 1, 1])
    assert accuracies(weight, bias, x, labels, chunk=2).tolist() == pytest.approx([2 / 3, 2 / 3])


def store(x, labels, x_test, test_labels):
    """Images whose pixels are the features."""

    def images(values):
        return values.float()[:, None, None, :].repeat(1, 3, values.shape[1], 1)

    def encode(pictures):
        features = pictures[:, 0, 0]
        return {'cls': features, 'patch': features[:, None] * torch.tensor([1.0, 3.0, 1.0, 3.0])[:, None]}

    data = {'train': (images(x), labels, None), 'test': (images(x_test), test_labels, None)}
    return FeatureStore(encode, {}, x.shape[1], images=data)


def test_separated_classes_are_told_apart_and_random_labels_are_chance():
    (x, labels), (x_test, test_labels) = blobs(400), blobs(200, seed=1)
    found = LinearProbe(parts=('cls', 'mean', 'cls_mean'))(store(x, labels, x_test, test_labels))
    assert found['linear_top1'] == found['linear_top1/mean'] == 1.0 and found['linear_error'] == 0
    assert {'linear_top1/cls', 'linear_top1/cls_mean', 'linear_rate'} <= set(found)
    noise = torch.randint(4, (400,), generator=torch.Generator().manual_seed(2))
    random = LinearProbe(parts=('cls',))(store(x, noise, x_test, noise[:200]))
    assert 0.15 < random['linear_top1'] < 0.35 and random['linear_error'] == pytest.approx(0.03, abs=0.005)


def logistic_regression(x, labels, classes):
    """The minimum of the mean cross-entropy, by L-BFGS; ``[D + 1, C]``, the bias last."""
    x = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], 1)
    weight = torch.zeros(x.shape[1], classes, dtype=x.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=200, line_search_fn='strong_wolfe')

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(x @ weight, labels)
        loss.backward()
        return loss

    optimizer.step(closure)
    return weight.detach()


def test_it_comes_near_the_logistic_regression():
    (x, labels), (x_test, test_labels) = blobs(600, spread=1.5), blobs(2000, spread=1.5, seed=1)
    weight = logistic_regression(x, labels, 4)
    wanted = float(((x_test @ weight[:-1] + weight[-1]).argmax(1) == test_labels).double().mean())
    found = LinearProbe(parts=('cls',), epochs=50)(store(x, labels, x_test, test_labels))['linear_top1']
    assert 0.5 < wanted < 0.8 and found == pytest.approx(wanted, abs=0.02)


def test_the_test_images_choose_only_where_they_are_asked_to():
    (x, labels), (x_test, test_labels) = blobs(300, spread=2.0), blobs(100, spread=2.0, seed=1)
    shuffled = test_labels[torch.randperm(100, generator=torch.Generator().manual_seed(3))]
    rates = [
        LinearProbe(parts=('cls',), epochs=3)(store(x, labels, x_test, wanted))['linear_rate']
        for wanted in (test_labels, shuffled)
    ]
    assert rates[0] == rates[1]
    kinds = [LinearProbe(parts=('cls',), select=s)(store(x, labels, x_test, shuffled)) for s in ('held_out', 'test')]
    assert kinds[1]['linear_top1'] >= kinds[0]['linear_top1'] - 0.05


@pytest.mark.parametrize('scale', [1e-6, 1e4])
def test_the_scale_of_features_changes_nothing(scale):
    (x, labels), (x_test, test_labels) = blobs(200, spread=1.0), blobs(100, spread=1.0, seed=1)
    plain = LinearProbe(parts=('cls',))(store(x, labels, x_test, test_labels))
    scaled = LinearProbe(parts=('cls',))(store(scale * x, labels, scale * x_test, test_labels))
    assert scaled['linear_top1'] == pytest.approx(
        plain['linear_top1'], abs=0.03
    )  # a tie of learning rates may fall otherwise


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(select='train'), "select='train' is neither"),
        (dict(held_out=1.0), 'held_out=1.0 is not a share'),
        (dict(rates=()), 'must be positive'),
        (dict(rates=(0.0,)), 'must be positive'),
        (dict(epochs=0), 'epochs=0'),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        LinearProbe(**options)


def test_unlabelled_images_are_refused_and_nan_too():
    x, labels = blobs(40)
    with pytest.raises(UserError, match='linear needs labels'):
        LinearProbe()(store(x, torch.full((40,), -1), x, labels))
    with pytest.raises(UserError, match='too few'):
        LinearProbe(parts=('cls',))(store(x[:2], labels[:2], x, labels))
    x[3, 2] = np.nan
    with pytest.raises(UserError, match='non-finite'):
        LinearProbe()(store(x, labels, x, labels))
