"""Probes and classifiers on problems whose answer is known."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from eqssl.datasets.image_reader import UnreadableImage
from eqssl.evaluation import KNN, Collapse, Equivariance, FeatureStore, LatentRegression
from eqssl.evaluation.feature_store import grid_pool
from eqssl.evaluation.knn import knn_predict
from eqssl.evaluation.regression import fit_mlp, fit_ridge, standardize
from eqssl.evaluation.stream import eval_image
from eqssl.models.monitors import rankme, spread
from eqssl.utils.errors import UserError
from tests.helpers import Images

pytestmark = pytest.mark.usefixtures('registered')


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


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
        seen[draws] = task._pairs(store, 'train', ['cls'])[name, 'cls']
    (x, theta), (_, single) = seen[3], seen[1]
    assert len(x) == len(theta) == 150 and len(single) == 50
    before, after = x.chunk(2, dim=1)
    path = Equivariance({name: config}).paths[name]
    images = store.features('train', 'pixels')[:50].reshape(50, 3, 24, 24)
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
    store.splits['train']._labels = torch.full((500,), -1)
    with pytest.raises(UserError, match='needs labels'):
        KNN()(store)


def test_eval_image_crops_the_center_and_keeps_small_images():
    image = np.zeros((40, 60, 3), np.uint8)
    image[10:30, 20:40] = 255
    assert eval_image(image, 32).shape == (32, 32, 3)
    assert np.array_equal(eval_image(image[:40, 10:50], 40), image[:40, 10:50])
    tokens = torch.arange(16.0).reshape(1, 16, 1)
    assert grid_pool(tokens, 2).tolist() == [[2.5, 4.5, 10.5, 12.5]] and grid_pool(tokens, 1).item() == 7.5


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


# -- nothing but the data decides: not their order, not the scale of the features ---------------------------------


def textures(count=160, seed=0):
    """Images of four classes (orientation of a grating) in class order, as a sorted folder has them."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) * 4 // count
    grid = torch.arange(24.0)
    angle = labels * torch.pi / 4 + 0.2 * torch.randn(count, generator=generator)
    phase = 6.28 * torch.rand(count, 1, 1, generator=generator)
    wave = angle.cos()[:, None, None] * grid[:, None] + angle.sin()[:, None, None] * grid
    images = (0.5 + 0.5 * torch.sin(0.9 * wave + phase))[:, None].repeat(1, 3, 1, 1)
    latents = torch.stack([angle.cos(), angle.sin()], 1)
    return images, labels, latents


def encode(images):
    """Features of some kind: gradients, pooled to four cells, as tokens and as their mean."""
    maps = torch.cat([images.diff(dim=2)[..., 1:], images.diff(dim=3)[:, :, 1:]], 1).abs()
    tokens = torch.nn.functional.adaptive_avg_pool2d(maps, 2).flatten(2).transpose(1, 2)
    return {'cls': tokens.mean(1), 'patch': tokens, 'inv': tokens.mean(1), 'equi': tokens}


TASKS = {
    'knn': KNN(k=5),
    'equivariance': Equivariance(PATH, parts=('all', 'equi'), hidden=16, epochs=2, train=60, test=40, draws=2),
    'latents': LatentRegression({'angle': dict(columns=[0, 1])}),
    'collapse': Collapse(),
}


def measured(task, data, encoder=encode, **options):
    return TASKS[task](FeatureStore(encoder, {}, 24, images=data, **options))


@pytest.mark.parametrize('task', TASKS)
def test_results_do_not_depend_on_the_order_of_the_data(task):
    data = {'train': textures(), 'test': textures(80, seed=1)}
    want = measured(task, data)
    for seed in range(3):
        shuffled = {}
        for split, parts in data.items():
            order = torch.randperm(len(parts[0]), generator=torch.Generator().manual_seed(seed))
            shuffled[split] = tuple(part[order] for part in parts)
        assert measured(task, shuffled) == pytest.approx(want, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize('task', TASKS)
@pytest.mark.parametrize('scale', [1e-7, 1e-3, 1e5])
def test_results_do_not_depend_on_the_scale_of_the_features(task, scale):
    data = {'train': textures(), 'test': textures(80, seed=1)}

    def scaled(images):
        return {name: scale * value for name, value in encode(images).items()}

    assert measured(task, data, scaled) == pytest.approx(measured(task, data), rel=1e-3, abs=1e-3)


@pytest.mark.parametrize('task', TASKS)
def test_features_that_are_not_finite_are_refused_by_name(task):
    data = {'train': textures(), 'test': textures(80, seed=1)}

    def broken(images):
        features = encode(images)
        features['cls'][0, 0] = torch.nan
        return features

    with pytest.raises(UserError, match="evaluation: features 'cls': 1 of .* samples have non-finite features"):
        measured(task, data, broken)


def test_functions_refuse_what_is_not_finite():
    x, y, bad = random(20, 3), random(20, 2), random(20, 3)
    bad[4, 1] = torch.inf
    for call in (
        lambda: knn_predict(bad, torch.zeros(20, dtype=torch.long), x),
        lambda: fit_ridge(x, y, bad),
        lambda: fit_mlp(bad, y, x),
        lambda: standardize(x, bad),
    ):
        with pytest.raises(UserError, match='1 of 20 samples have non-finite features'):
            call()


def test_a_limit_takes_a_sample_of_all_classes_whatever_their_order(tmp_path):
    from eqssl.datasets import ArrayImages

    images = np.random.default_rng(0).integers(0, 255, (200, 8, 8, 3), dtype=np.uint8)
    labels, order = np.arange(200) // 50, np.random.default_rng(1).permutation(200)
    chosen = []
    for name, index in (('sorted', np.arange(200)), ('shuffled', order)):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / 'train_images.npy', images[index])
        np.save(tmp_path / name / 'train_labels.npy', labels[index])
        source = ArrayImages(str(tmp_path / name))
        store = FeatureStore(pixels, {'train': source, 'test': source}, 8, {'train': 40})
        chosen.append((store.features('train', 'pixels'), store.labels('train')))
        first = store.labels('train')[:20]
        assert len(first.unique()) == 4, 'the first half is a sample of all classes too'
    assert all(torch.equal(a, b) for a, b in zip(*chosen, strict=True))


def test_classes_are_shared_by_both_splits_of_an_evaluation(tmp_path):
    from eqssl.evaluation import Evaluation

    for name, classes in (('train', 'abc'), ('val', 'ac'), ('more', 'ad')):
        for folder in classes:
            (tmp_path / name / folder).mkdir(parents=True)
            color = {'a': 'red', 'b': 'black', 'c': 'lime', 'd': 'blue'}[folder]
            for i in range(3):
                Image.new('RGB', (8 + i, 8), color).save(tmp_path / name / folder / f'{i}.png')

    def settings(test):
        folders = {'train': tmp_path / 'train', 'test': tmp_path / test}
        kind = dict(type='eqssl.ImageFolder', with_label=True)
        splits = {split: dict(kind, data_root=str(folder)) for split, folder in folders.items()}
        return dict(**splits, size=8, tasks=dict(knn=dict(type='eqssl.KNN', k=1)))

    evaluation = Evaluation.from_settings(settings('val'))
    assert evaluation.sources['test'].labels.tolist() == [0, 0, 0, 2, 2, 2]
    store = FeatureStore(pixels, evaluation.sources, 8)
    assert KNN(k=1, part='pixels')(store)['knn_top1'] == 1.0
    with pytest.raises(UserError, match="evaluation.test: data_root .* has class 'd'"):
        Evaluation.from_settings(settings('more'))
    for change, message in (
        ({'sizes': 8}, "'evaluation.sizes' is unknown .*'size'"),
        ({'size': None}, "'evaluation.size' is missing"),
        ({'test': dict(type='eqssl.ImageFolder', data_root='/nowhere')}, "evaluation.test: data_root '/nowhere'"),
    ):
        with pytest.raises(UserError, match=message):
            Evaluation.from_settings({**settings('val'), **change})
    unlabelled = settings('val')
    unlabelled['test']['with_label'] = False
    with pytest.raises(UserError, match='knn needs labels: set with_label=True'):
        Evaluation.from_settings(unlabelled).check()


def test_the_standard_error_of_knn_is_binomial():
    images = torch.rand(40, 3, 8, 8)
    labels = torch.arange(40) % 4
    store = FeatureStore(
        lambda x: {'cls': x.flatten(1), 'patch': x.flatten(2).transpose(1, 2)},
        {},
        8,
        images={'train': (images, labels, None), 'test': (images[:30], labels[:30] * (torch.arange(30) > 9), None)},
    )
    found = KNN(k=1)(store)
    p = found['knn_top1']
    assert 0 < p < 1 and found['knn_error'] == pytest.approx((p * (1 - p) / 30) ** 0.5)


class Counted(Images):
    """Images that count how often they are read, the last one unreadable."""

    def __init__(self, count):
        super().__init__(count, size=24)
        self.reads = 0

    def load(self, index):
        self.reads += 1
        if index == len(self) - 1:
            raise UnreadableImage('torn')
        return super().load(index)


def test_images_are_read_when_they_are_needed_and_never_held():
    sources = {'train': Counted(61), 'test': Counted(31)}
    store = FeatureStore(pixels, sources, 24, batch_size=16)
    task = Equivariance({**PATH, 'color': dict(type='eqssl.Color')}, parts=('cls',), probes=('ridge',), train=20)
    KNN(part='all')(store)
    assert [s.reads for s in sources.values()] == [61, 31]
    task(store)
    assert [s.reads for s in sources.values()] == [61 + 20, 31 + 30], (
        'one more pass for all paths, without the torn one'
    )
    assert len(store.labels('train')) == 60 and not hasattr(store.splits['train'], 'images')
    other = store.with_encoder(lambda x: {k: -v for k, v in pixels(x).items()})
    assert torch.equal(other.features('train', 'cls'), -store.features('train', 'cls'))
    again = FeatureStore(pixels, {'train': Counted(61), 'test': Counted(31)}, 24, batch_size=16, num_workers=2)
    assert torch.equal(again.features('train', 'cls'), store.features('train', 'cls')), 'workers change nothing'
    torn = Counted(1)
    with pytest.raises(UserError, match='evaluation.train: no image can be read; the first is .*torn'):
        FeatureStore(pixels, {'train': torn, 'test': torn}, 24).labels('train')


@pytest.mark.parametrize('labelled', [True, False])
def test_optional_knn_follows_the_labels_that_there_are(tmp_path, labelled):
    from eqssl.evaluation import Evaluation

    for i in range(20):
        folder = tmp_path / f'class {i % 2}' if labelled else tmp_path
        folder.mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 12 * i, np.uint8)).save(folder / f'{i}.png')
    folders = {
        s: dict(type='eqssl.ImageFolder', data_root=str(tmp_path), with_label='auto', part=s) for s in ('train', 'test')
    }
    evaluation = Evaluation.from_settings(
        dict(
            **folders,
            size=8,
            tasks=dict(knn=dict(type='eqssl.KNN', optional=True), collapse=dict(type='eqssl.Collapse')),
        )
    )
    evaluation.check()
    assert list(evaluation.tasks) == (['knn', 'collapse'] if labelled else ['collapse'])
    with pytest.raises(UserError, match="with_label='yes' is none of True, False, 'auto'"):
        Evaluation.from_settings({**folders, 'size': 8, 'tasks': {}, 'test': {**folders['test'], 'with_label': 'yes'}})
