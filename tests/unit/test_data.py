"""Sources, multi-crop, sampler and the batch contract."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from eqssl.datasets import ArrayImages, ImageFolder, MultiCrop, MultiViewDataset, PositionSampler, collate_views
from eqssl.datasets.multicrop import draw_box, draw_photometrics, resample
from eqssl.utils.counters import counted
from eqssl.utils.errors import UserError
from tests.conftest import write_images
from tests.helpers import VIEWS, Images, batch, dataset

pytestmark = pytest.mark.usefixtures('registered')


def smooth(size=(48, 40)) -> Image.Image:
    low = np.random.default_rng(0).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(low).resize(size, Image.Resampling.BICUBIC)


def test_folder_flat_or_nested_sorted_and_labelled(tmp_path):
    write_images(tmp_path / 'b', 2)
    write_images(tmp_path / 'a' / 'deep', 3)
    (tmp_path / 'note.txt').write_text('no image')
    source = ImageFolder(str(tmp_path))
    assert len(source) == 5 and source.files == sorted(source.files) and source.label(0) == -1
    labelled = ImageFolder(str(tmp_path), with_label=True)
    assert labelled.classes == ['a', 'b'] and labelled.labels.tolist() == [0, 0, 0, 1, 1]
    with pytest.raises(UserError, match="folder 'b'"):
        ImageFolder(str(tmp_path), with_label=True, classes=['a'])
    parts = [ImageFolder(str(tmp_path), part=p).files for p in ('train', 'test')]
    assert sorted(parts[0] + parts[1]) == source.files and len(parts[1]) == 1


def test_arrays_with_labels_latents_and_parts(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / 'x.npz', train_images=rng.integers(0, 255, (6, 8, 8, 3), dtype=np.uint8),
        train_labels=np.arange(6), train_latents=rng.random((6, 2)),
    )  # fmt: skip
    source = ArrayImages(str(tmp_path / 'x.npz'), start=2, stop=5)
    assert len(source) == 3 and source.label(0) == 2 and source.latents.shape == (3, 2)
    with pytest.raises(UserError, match='test_images'):
        ArrayImages(str(tmp_path / 'x.npz'), split='test')
    with pytest.raises(UserError, match='neither'):
        ArrayImages(str(tmp_path / 'none'))


def test_embedded_objects_are_complete():
    from tests.conftest import ROOT

    for split, views in (('train', 20), ('test', 4)):
        source = ArrayImages(str(ROOT / 'demo/objects64.npz'), split=split)
        assert (np.bincount(source.labels) == views).all() and source.images.shape[1:] == (64, 64, 3)
        np.testing.assert_allclose(np.linalg.norm(source.latents[:, :4], axis=1), 1, atol=1e-5)


def test_crop_boxes_keep_scale_and_ratio():
    from eqssl.datasets import ViewSpec

    rng, spec = np.random.default_rng(0), ViewSpec(size=8, scale=(0.2, 0.6))
    boxes = np.array([draw_box(rng, 100, 80, spec) for _ in range(2000)])
    area, ratio = boxes[:, 2] * boxes[:, 3] / 8000, boxes[:, 2] / boxes[:, 3]
    assert area.min() > 0.19 and area.max() < 0.62 and abs(area.mean() - 0.4) < 0.02
    assert ratio.min() > 0.7 and ratio.max() < 1.4
    assert (boxes[:, 0] + boxes[:, 2] <= 80).all() and (boxes[:, 1] + boxes[:, 3] <= 100).all()


def test_photometric_draws_have_their_probabilities():
    from eqssl.datasets import ViewSpec

    spec = ViewSpec(size=8, jitter_prob=0.8, gray_prob=0.2, blur_prob=0.5, solarize_prob=0.1)
    p = np.stack([draw_photometrics(np.random.default_rng(i), spec) for i in range(3000)])
    shares = [(p[:, 0] != 1).mean(), p[:, 4].mean(), (p[:, 5] > 0).mean(), p[:, 6].mean()]
    assert np.abs(np.array(shares) - [0.8, 0.2, 0.5, 0.1]).max() < 0.03
    assert p[:, 0].min() >= 0.6 and p[:, 0].max() <= 1.4 and np.abs(p[:, 3]).max() <= 0.1


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
def test_resampling_one_crop_equals_crop_then_resize(backend):
    image = np.asarray(smooth((64, 64)))
    got = resample(image, (8, 16, 32, 32), 16, backend).astype(int)
    want = np.asarray(Image.fromarray(image[16:48, 8:40]).resize((16, 16), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(got - want).mean() < 3


def test_batch_contract_one_uint8_tensor_per_size():
    data = batch(5)
    assert data['crops']['global'].shape == (2, 5, 16, 16, 3) and data['crops']['local'].shape == (2, 5, 8, 8, 3)
    assert all(x.dtype == torch.uint8 for x in data['crops'].values())
    assert data['box']['global'].shape == (2, 5, 5) and data['photo']['local'].shape == (2, 5, 7)
    assert data['mask_grid'].shape == (10, 16) and data['mask_index'].shape == data['mask_weight'].shape


def test_recorded_boxes_reproduce_the_crops():
    data, source = batch(4), Images()
    for i in range(4):
        x, y, w, h, flip = data['box']['global'][0, i].tolist()
        crop = resample(source.load(int(data['index'][i])), (int(x), int(y), int(w), int(h)), 16, 'cv2')
        assert np.array_equal(crop[:, ::-1] if flip else crop, data['crops']['global'][0, i].numpy())


def test_one_decode_per_sample():
    data = dataset()
    with counted() as counts:
        data[(3, 3)]
    assert counts['decodes'] == 1


def test_views_do_not_depend_on_workers_batch_or_order_and_differ_between_epochs():
    data = dataset(count=12)

    def run(workers, size):
        sampler = PositionSampler(data, seed=1)
        loader = DataLoader(data, size, sampler=sampler, num_workers=workers, collate_fn=collate_views)
        seen = {}
        for number, b in enumerate(loader):
            for i, position in enumerate(b['position'].tolist()):
                seen[position] = (b['index'][i].item(), b['crops']['global'][:, i], b['photo']['local'][:, i])
            if number * size >= 24:
                break
        return seen

    first, second = run(0, 4), run(2, 3)
    for position in range(24):
        a, b = first[position], second[position]
        assert a[0] == b[0] and torch.equal(a[1], b[1]) and torch.equal(a[2], b[2])
    by_image = {first[p][0]: first[p][1] for p in range(12)}
    assert sorted(by_image) == list(range(12))
    assert all(not torch.equal(by_image[first[p][0]], first[p][1]) for p in range(12, 24)), 'new views every epoch'


def test_sampler_deals_positions_to_ranks_and_skips(monkeypatch):
    def take(rank, world, skip=0, n=6):
        monkeypatch.setattr('eqssl.datasets.sampler.get_dist_info', lambda: (rank, world))
        sampler = PositionSampler(range(10), seed=3)
        sampler.skip(skip)
        iterator = iter(sampler)
        return [next(iterator) for _ in range(n)]

    one = take(0, 1, n=12)
    assert [p for _, p in one] == list(range(12))
    assert take(0, 2) == one[0::2] and take(1, 2) == one[1::2]
    assert take(1, 2, skip=2, n=4) == one[1::2][2:]
    with pytest.raises(UserError, match='ranks'):
        take(0, 11)


def test_unreadable_images_are_replaced_deterministically_and_reported(tmp_path):
    write_images(tmp_path, 6)
    (tmp_path / '002.jpg').write_bytes(b'broken')
    data = MultiViewDataset(dict(type='eqssl.ImageFolder', data_root=str(tmp_path)), VIEWS, seed=5)
    a, b = data[(2, 17)], data[(2, 17)]
    assert a['index'] == b['index'] != 2
    assert len(a['unreadable']) == 1 and a['unreadable'][0][0].endswith('002.jpg')
    assert collate_views([a, data[(0, 18)]])['unreadable'] == a['unreadable']


@pytest.mark.parametrize(
    'views', [[dict(size=16, scale=(0, 1))], [dict(size=16), dict(size=8)], [dict(size=8, blur_prob=2)], []]
)
def test_wrong_views_are_refused(views):
    with pytest.raises(UserError, match='views'):
        MultiCrop(views)


def test_augmenter_turns_the_batch_into_normalized_views():
    from eqssl.augment.augmenter import ViewAugmenter

    augmenter, data = ViewAugmenter(), batch(4)
    for name in data['photo']:
        data['photo'][name][:] = torch.tensor([1.0, 1, 1, 0, 0, 0, 0])
    views = augmenter(data, True)['views']
    raw = data['crops']['global'].flatten(0, 1).permute(0, 3, 1, 2).float() / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    want = (raw - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(views.crops['global'], want)
    torch.testing.assert_close(augmenter.denormalize(want), raw, atol=1e-5, rtol=0)
    assert torch.equal(views.view('global', 1), views.crops['global'][4:])


def test_every_rank_gets_full_batches_for_ever_whatever_the_number_of_images(monkeypatch):
    """Losses over all ranks never meet an uneven last batch: 10 images, 2 ranks, batches of 4."""
    from torch.utils.data import DataLoader

    from eqssl.datasets import PositionSampler

    seen = []
    for rank in range(2):
        monkeypatch.setattr('eqssl.datasets.sampler.get_dist_info', lambda rank=rank: (rank, 2))
        loader = DataLoader(range(10), 4, sampler=PositionSampler(range(10)), collate_fn=list, drop_last=True)
        batches = list(itertools.islice(_positions(loader), 5))
        assert [len(b) for b in batches] == [4] * 5
        seen.append(batches)
    assert sorted(p for rank in seen for b in rank for p in b) == list(range(40))


def _positions(loader):
    """Positions batch by batch, as the sampler of a loader deals them."""
    for dealt in loader.batch_sampler:
        yield [position for _, position in dealt]
