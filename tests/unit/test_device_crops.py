"""Crops cut on the device are those that a worker cuts, for the same (seed, position)."""

import numpy as np
import pytest
import torch

from eqssl.augment.augmenter import ViewAugmenter
from eqssl.augment.crops import area_weights, cubic_weights, cut, pillow_weights
from eqssl.datasets import MultiViewDataset, collate_views
from eqssl.datasets.multicrop import resample
from eqssl.utils.errors import UserError

BOXES = [(0, 0, 32, 32), (3, 5, 20, 17), (0, 0, 9, 9), (11, 2, 21, 30), (31, 31, 1, 1), (1, 0, 30, 32), (5, 6, 16, 8)]


def pictures(count, height, width, seed=0):
    """Smooth structure and noise, [count, height, width, 3] uint8, with saturated areas."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / rng.uniform(1, 9) + y / rng.uniform(1, 9)) for _ in range(3 * count)]
    smooth = 128 + 140 * np.stack(waves).reshape(count, 3, height, width).transpose(0, 2, 3, 1)
    return (smooth + rng.normal(0, 20, smooth.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
@pytest.mark.parametrize('size', [32, 12, 8, 33])
@pytest.mark.parametrize('flip', [0, 1])
def test_pixels_are_the_workers_within_one_gray_level(backend, size, flip):
    images = pictures(len(BOXES), 32, 32)
    box = torch.tensor([(*b, flip) for b in BOXES], dtype=torch.float32)
    found = cut(torch.from_numpy(images), box, size, backend).numpy().astype(int)
    for image, b, crop in zip(images, BOXES, found, strict=True):
        wanted = resample(image, b, size, backend).astype(int)
        wanted = wanted[:, ::-1] if flip else wanted
        assert np.abs(crop - wanted).max() <= 1, b
        assert np.abs(crop - wanted).mean() < 0.25, b


def test_images_that_are_not_square_and_larger_than_the_crop():
    images = pictures(4, 40, 56)
    boxes = [(0, 0, 56, 40), (7, 3, 41, 37), (10, 10, 20, 30), (50, 0, 6, 40)]
    box = torch.tensor([(*b, 0) for b in boxes], dtype=torch.float32)
    for backend in ('cv2', 'pillow'):
        found = cut(torch.from_numpy(images), box, 24, backend).numpy().astype(int)
        for image, b, crop in zip(images, boxes, found, strict=True):
            assert np.abs(crop - resample(image, b, 24, backend)).max() <= 1, (backend, b)


@pytest.mark.parametrize('weights', [cubic_weights, area_weights, pillow_weights])
def test_every_output_pixel_is_a_mean_with_weights_that_sum_to_one(weights):
    rows = weights(torch.tensor([0.0, 3.0]), torch.tensor([32.0, 27.0]), 10, 32)
    assert torch.allclose(rows.sum(2), torch.ones(2, 10), atol=1e-5)


def test_an_uncut_image_is_itself():
    image = pictures(1, 16, 16)
    box = torch.tensor([[0.0, 0.0, 16.0, 16.0, 0.0]])
    for backend in ('cv2', 'pillow'):
        assert np.array_equal(cut(torch.from_numpy(image), box, 16, backend).numpy(), image)


def dataset(tmp_path, cut, **kwargs):
    """Two groups of crops of 20 images; every second one only, so that places in the array and indices differ."""
    file = tmp_path / 'images.npz'
    np.savez(file, train_images=pictures(20, 24, 28), train_labels=np.arange(20))
    views = dict(
        type='eqssl.MultiCrop',
        views=[dict(group='global', size=24, num=2), dict(group='local', size=12, num=3, scale=(0.05, 0.3))],
        **kwargs,
    )
    source = dict(type='eqssl.ArrayImages', data_root=str(file), start=4)
    return MultiViewDataset(source, views, seed=3, cut=cut, mask=dict(type='eqssl.PatchMask', grid=3))


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
def test_a_batch_has_the_same_draws_and_nearly_the_same_pixels(tmp_path, backend):
    there, here = dataset(tmp_path, 'worker', backend=backend), dataset(tmp_path, 'device', backend=backend)
    items = [(i % 16, 100 + 7 * i) for i in range(24)]
    batches = [collate_views([d[item] for item in items]) for d in (there, here)]
    assert 'crops' in batches[0] and 'crops' not in batches[1]
    for key in batches[1]:
        one, other = batches[0][key], batches[1][key]
        pairs = [(one[k], other[k]) for k in one] if isinstance(one, dict) else [(one, other)]
        assert all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in pairs), key
    augmenter = ViewAugmenter()
    wanted = augmenter(batches[0], True)['views']
    augmenter.device_images = here.device_images()
    found = augmenter(batches[1], True)['views']
    for group in ('global', 'local'):
        assert found.raw[group].dtype == torch.uint8 and found.raw[group].shape == wanted.raw[group].shape
        difference = (found.raw[group].int() - wanted.raw[group].int()).abs()
        assert difference.max() <= 1 and difference.float().mean() < 0.2
        assert found.num_views == wanted.num_views


def test_the_default_without_a_gpu_is_the_worker_and_wrong_values_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert not dataset(tmp_path, 'auto').on_device and dataset(tmp_path, 'auto').device_images() is None
    with pytest.raises(UserError, match="cut='gpu' is none of"):
        dataset(tmp_path, 'gpu')


def test_auto_is_the_device_where_the_images_take_a_tenth_of_its_memory(tmp_path, monkeypatch):
    class Properties:
        total_memory = 10 * 20 * 24 * 28 * 3

    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'current_device', lambda: 0)
    monkeypatch.setattr(torch.cuda, 'get_device_properties', lambda device: Properties)
    assert dataset(tmp_path, 'auto').on_device
    Properties.total_memory -= 10
    assert not dataset(tmp_path, 'auto').on_device


def test_files_cannot_be_cut_on_the_device(tmp_path):
    from PIL import Image

    Image.fromarray(pictures(1, 24, 24)[0]).save(tmp_path / 'a.png')
    views = dict(type='eqssl.MultiCrop', views=[dict(size=24, num=2)])
    with pytest.raises(UserError, match='needs images in arrays'):
        MultiViewDataset(dict(type='eqssl.ImageFolder', data_root=str(tmp_path)), views, cut='device')
