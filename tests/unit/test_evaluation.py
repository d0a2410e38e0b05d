"""Probes and classifiers on problems whose answer is known."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import torch

from eqssl.evaluation import KNN, Collapse, Equivariance, FeatureStore, LatentRegression
from eqssl.evaluation.feature_store import eval_image, grid_pool
from eqssl.evaluation.knn import knn_predict
from eqssl.evaluation.regression import fit_mlp, fit_ridge, r2_global, r2_mean, standardize
from eqssl.models.monitors import rankme, spread
from eqssl.utils.errors import UserError
from tests.helpers import Images

pytestmark = pytest.mark.usefixtures('registered')


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_r2_definitions_by_hand():
    """Two dimensions with means 0 and 10: the global mean (5) inflates TSS, hence R2."""
    target = torch.tensor([[-1.0, 9.0], [1.0, 11.0]])
    prediction = torch.tensor([[-1.0, 10.0], [1.0, 10.0]])
    assert r2_mean(prediction, target) == pytest.approx((1 + 0) / 2)
    tss = sum((x - 5) ** 2 for x in (-1, 9, 1, 11))
    assert r2_global(prediction, target) == pytest.approx(1 - 2 / tss)
    assert r2_mean(target.mean(0).expand(2, 2), target) == pytest.approx(0)


def test_ridge_recovers_a_linear_map_and_equals_the_normal_equations():
    x, w = random(400, 6), random(6, 2, seed=1)
    y = x @ w + 3 + 0.01 * random(400, 2, seed=2)
    assert r2_mean(fit_ridge(x[:300], y[:300], x[300:]), y[300:]) > 0.999
    got = fit_ridge(x[:300], y[:300], x[300:], penalties=(0.1,))
    a, b = x[:300].double().numpy(), y[:300].double().numpy()
    ac, bc = a - a.mean(0), b - b.mean(0)
    w = np.linalg.solve(ac.T @ ac + 0.1 * 300 * np.eye(6), ac.T @ bc)
    want = (x[300:].double().numpy() - a.mean(0)) @ w + b.mean(0)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-8)


def test_ridge_survives_more_features_than_samples_and_pure_noise():
    x, y = random(50, 200), random(50, 1, seed=3)
    assert r2_mean(fit_ridge(x[:40], y[:40], x[40:]), y[40:]) < 0.5


def test_mlp_learns_what_a_line_cannot_and_leaves_the_random_state_alone():
    x = random(1500, 2)
    y = (x[:, :1] * x[:, 1:]) / 2
    state = torch.get_rng_state()
    found = fit_mlp(x[:1200], y[:1200], x[1200:], hidden=64, epochs=40)
    assert r2_mean(found, y[1200:]) > 0.9 > 0.2 > r2_mean(fit_ridge(x[:1200], y[:1200], x[1200:]), y[1200:])
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(found, fit_mlp(x[:1200], y[:1200], x[1200:], hidden=64, epochs=40))


def test_knn_equals_a_loop_over_neighbors():
    train, labels, queries = random(60, 8), torch.arange(60) % 4, random(20, 8, seed=1)
    got = knn_predict(train, labels, queries, k=7, temperature=0.1, chunk=6)
    for query, found in zip(queries.double().numpy(), got, strict=True):
        t = train.double().numpy()
        similarity = t @ query / np.linalg.norm(t, axis=1) / np.linalg.norm(query)
        votes = np.zeros(4)
        for i in np.argsort(-similarity)[:7]:
            votes[labels[i]] += np.exp(similarity[i] / 0.1)
        assert votes.argmax() == found


def test_knn_of_separated_classes_is_perfect_and_of_noise_is_chance():
    labels = torch.arange(200) % 5
    separated = torch.nn.functional.one_hot(labels, 5).float() + 0.05 * random(200, 5)
    assert (knn_predict(separated[:150], labels[:150], separated[150:]) == labels[150:]).all()
    noise = random(2000, 8)
    many = torch.arange(2000) % 5
    assert abs((knn_predict(noise[:1500], many[:1500], noise[1500:]) == many[1500:]).float().mean() - 0.2) < 0.06


def test_rankme_and_feature_std_of_known_features():
    assert rankme(torch.eye(16)) == pytest.approx(16, rel=1e-3)
    assert rankme(torch.ones(50, 16)) == pytest.approx(1, rel=1e-2)
    half = torch.cat([torch.eye(8), torch.zeros(8, 8)], 1)
    assert rankme(half) == pytest.approx(8, rel=1e-2)
    assert spread(random(4000, 16)) == pytest.approx(1, abs=0.02) and spread(torch.ones(10, 4)) < 1e-6


def store_of(encode, images=None, count=700) -> FeatureStore:
    source = Images(count, size=24)
    return FeatureStore(encode, {'train': source, 'test': source}, 24, {'train': 500, 'test': 200})


def pixels(images):
    flat = images.flatten(1)
    return {'cls': flat, 'patch': images.flatten(2).transpose(1, 2)[:, :16]}


PATH = {'translation': dict(type='eqssl.Translation', pixels=3, reference=24)}


def test_features_that_hold_the_shift_have_r2_1_and_invariant_ones_0():
    """An encoder that returns the centroid of a bright dot knows the shift exactly; the mean color knows nothing."""
    images = torch.zeros(700, 3, 24, 24)
    images[:, :, 10:14, 10:14] = 1

    def centroid(x):
        grid = torch.arange(24.0)
        mass = x.sum((1, 2, 3))
        position = torch.stack([(x.sum((1, 2)) * grid).sum(1) / mass, (x.sum((1, 3)) * grid).sum(1) / mass], 1)
        return {'cls': position, 'patch': position[:, None]}

    labels = torch.zeros(500, dtype=torch.long)
    data = {'train': (images[:500], labels, None), 'test': (images[500:], labels[:200], None)}
    task = Equivariance(PATH, probes=('ridge', 'mlp'), parts=('cls',), hidden=64, epochs=60)
    result = task(FeatureStore(centroid, {}, 24, images=data))
    assert result['r2/translation/cls/ridge'] > 0.999 and result['r2/translation/cls/mlp'] > 0.9

    def mean_color(x):
        return {'cls': x.mean((2, 3)), 'patch': x.mean((2, 3))[:, None]}

    blind = task(FeatureStore(mean_color, {}, 24, images=data))
    assert abs(blind['r2/translation/cls/ridge']) < 0.1


def test_several_draws_pair_every_image_with_as_many_thetas():
    store, (name, config), seen = store_of(pixels), next(iter(PATH.items())), {}
    for draws in (1, 3):
        task = Equivariance(PATH, parts=('cls',), draws=draws, train=50)
        seen[draws] = task._pairs(store, name, task.paths[name], 'train', ['cls'])['cls']
    (x, theta), (_, single) = seen[3], seen[1]
    assert len(x) == len(theta) == 150 and len(single) == 50
    before, after = x.chunk(2, dim=1)
    path = Equivariance({name: config}).paths[name]
    images = store.images('train')[:50]
    torch.testing.assert_close(before, pixels(images)['cls'].repeat(3, 1))
    assert len(theta.unique(dim=0)) == 150, 'every pair has a theta of its own'
    again = path.sample(150, torch.Generator().manual_seed(zlib.crc32(f'{name}/train'.encode())))
    torch.testing.assert_close(theta, path.scaled(again))
    torch.testing.assert_close(after[100:], pixels(path.apply(images, again[100:]))['cls'])
    with pytest.raises(UserError, match='draws=0 must be at least 1'):
        Equivariance(draws=0)


def test_one_extraction_pass_feeds_every_task():
    calls = []

    def encode(x):
        calls.append(len(x))
        return pixels(x)

    store = store_of(encode)
    KNN(part='cls')(store)
    Collapse(part='cls')(store)
    KNN(part='all')(store)
    assert sum(calls) == 700


def test_missing_labels_are_refused_by_knn():
    store = store_of(pixels)
    store.data['train'] = (store.data['train'][0], torch.full((500,), -1), None)
    with pytest.raises(UserError, match='needs labels'):
        KNN()(store)


def test_eval_image_crops_the_center_and_keeps_small_images():
    image = np.zeros((40, 60, 3), np.uint8)
    image[10:30, 20:40] = 255
    assert eval_image(image, 32).shape == (32, 32, 3)
    assert np.array_equal(eval_image(image[:40, 10:50], 40), image[:40, 10:50])
    tokens = torch.arange(16.0).reshape(1, 16, 1)
    assert grid_pool(tokens, 2).tolist() == [[2.5, 4.5, 10.5, 12.5]] and grid_pool(tokens, 1).item() == 7.5


def test_standardize_handles_constant_features():
    x, y = standardize(torch.tensor([[1.0, 5], [3, 5]]), torch.tensor([[2.0, 6]]))
    assert x.tolist() == [[-1, 0], [1, 0]] and y.tolist() == [[0, 0]]


def test_true_latents_are_read_where_features_hold_them():
    x = torch.rand(400, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    hue = torch.rand(400, 1, generator=torch.Generator().manual_seed(1))
    x[:, 0, 0, 0], x[:, 1, 0, 0] = (2 * torch.pi * hue[:, 0]).cos(), (2 * torch.pi * hue[:, 0]).sin()
    latents = torch.cat([hue, torch.rand(400, 1, generator=torch.Generator().manual_seed(2))], 1)
    labels = torch.zeros(400, dtype=torch.long)
    data = {'train': (x[:300], labels[:300], latents[:300]), 'test': (x[300:], labels[300:], latents[300:])}
    task = LatentRegression({'hue': dict(columns=[0], circular=True), 'other': dict(columns=[1])})
    result = task.on('small_pixels')(FeatureStore(pixels, {}, 4, images=data))
    assert result['latent/hue'] > 0.99 and result['latent/other'] < 0.2
    data['test'] = (*data['test'][:2], None)
    with pytest.raises(UserError, match='needs data with latents'):
        task.on('small_pixels')(FeatureStore(pixels, {}, 4, images=data))
