"""One definition of a transformation: identity at fraction 0, known answers, fractions along the path."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from eqssl.augment.paths import SE2, Blur, Color, Compose, Rotation, Translation, build_path, warp
from eqssl.utils.errors import UserError

PATHS = [
    Rotation(), Rotation(padding='reflect'), Translation(), SE2(padding='border'), Color(), Blur(),
    Compose([dict(type='eqssl.Color'), dict(type='eqssl.SE2'), dict(type='eqssl.Blur')]),
]  # fmt: skip


def images(n: int = 4, size: int = 24) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize('path', PATHS, ids=lambda p: type(p).__name__)
def test_fraction_zero_and_theta_identity_are_exactly_the_identity(path, registered):
    x = images()
    theta = path.sample(len(x), torch.Generator().manual_seed(0))
    assert path.apply(x, theta, 0.0) is x
    if not isinstance(path, (Blur, Compose)):  # sigma has no neutral value inside its range
        assert torch.equal(path.apply(x, torch.zeros_like(theta), 1.0), x)


@pytest.mark.parametrize('path', PATHS, ids=lambda p: type(p).__name__)
def test_samples_lie_in_range_and_scale_to_unit(path):
    theta = path.sample(500, torch.Generator().manual_seed(0))
    assert theta.shape == (500, path.size)
    low, high = torch.tensor(path.low), torch.tensor(path.high)
    assert (theta >= low).all() and (theta <= high).all()
    assert path.scaled(theta).abs().max() <= 1 + 1e-6
    assert (theta.std(0) / (high - low) - 12**-0.5).abs().max() < 0.03  # uniform


@pytest.mark.parametrize('path', PATHS, ids=lambda p: type(p).__name__)
def test_batch_entries_are_independent(path):
    x = images()
    theta = path.sample(4, torch.Generator().manual_seed(0))
    whole = path.apply(x, theta, 0.6)
    single = torch.cat([path.apply(x[i : i + 1], theta[i : i + 1], 0.6) for i in range(4)])
    torch.testing.assert_close(whole, single, atol=1e-6, rtol=0)


def test_rotation_by_90_degrees_counter_clockwise_is_rot90():
    x = images()
    turned = Rotation(degrees=180).apply(x, torch.full((4, 1), 90.0))
    torch.testing.assert_close(turned, torch.rot90(x, 1, (2, 3)), atol=1e-5, rtol=0)


def test_translation_by_whole_pixels_is_a_shift_right_and_down():
    x = images(size=24)
    moved = Translation(pixels=10, reference=24).apply(x, torch.tensor([[3.0, 2.0]]).expand(4, 2))
    torch.testing.assert_close(moved[:, :, 2:, 3:], x[:, :, :-2, :-3], atol=1e-5, rtol=0)
    assert moved[:, :, :2].abs().max() < 1e-5  # zeros enter


def test_translation_unit_is_pixels_at_224_and_scales_with_the_image():
    path = Translation(pixels=10)
    assert path.reference == 224
    x = images(1, 112)
    moved = path.apply(x, torch.tensor([[10.0, 0.0]]))
    torch.testing.assert_close(moved[..., 5:], x[..., :-5], atol=1e-4, rtol=0)


def test_warp_equals_an_independent_resampler():
    """scipy's map_coordinates with the inverse map in float64, rotation first, then translation, non-square."""
    x = images(1, 20)[:, :1, :16]
    angle, tx, ty = 0.4, 1.7, -2.3
    got = warp(x, torch.tensor([angle]), torch.tensor([[tx, ty]]), 'zeros')[0, 0].numpy()
    h, w = 16, 20
    yy, xx = np.mgrid[:h, :w].astype(float)
    px, py = xx - (w - 1) / 2 - tx, yy - (h - 1) / 2 - ty
    c, s = math.cos(angle), math.sin(angle)
    qx, qy = c * px - s * py, s * px + c * py
    want = ndimage.map_coordinates(
        x[0, 0].double().numpy(), [qy + (h - 1) / 2, qx + (w - 1) / 2], order=1, mode='grid-constant', cval=0.0
    )
    np.testing.assert_allclose(got, want, atol=1e-4)


def test_two_thirds_of_30_degrees_is_20_degrees():
    x, path = images(), Rotation()
    thirty, twenty = torch.full((4, 1), 30.0), torch.full((4, 1), 20.0)
    torch.testing.assert_close(path.apply(x, thirty, 2 / 3), path.apply(x, twenty, 1.0), atol=1e-5, rtol=0)


def test_color_fraction_scales_deltas_and_hue():
    x, path = images(), Color()
    theta = torch.tensor([[0.3, -0.2, 0.4, 0.1]]).expand(4, 4)
    torch.testing.assert_close(path.apply(x, theta, 0.5), path.apply(x, theta * 0.5, 1.0), atol=1e-6, rtol=0)


def test_blur_below_the_lower_end_is_the_identity():
    x, path = images(), Blur()
    theta = torch.full((4, 1), 0.18)
    assert torch.equal(path.apply(x, theta, 0.5), x)
    assert not torch.equal(path.apply(x, torch.full((4, 1), 1.0)), x)


def test_padding_zeros_shows_black_corners_and_reflect_does_not():
    x = torch.ones(1, 3, 16, 16)
    theta = torch.tensor([[45.0]])
    assert Rotation(padding='zeros').apply(x, theta)[0, 0, 0, 0] == 0
    assert Rotation(padding='reflect').apply(x, theta).min() > 0.999


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (dict(type='eqssl.Rotation', degrees=0), r'path.degrees=0 must lie in \(0.0, 180\]'),
        (dict(type='eqssl.Rotation', degrees=200), 'path.degrees=200'),
        (dict(type='eqssl.SE2', padding='wrap'), "path.padding='wrap' is none of"),
        (dict(type='eqssl.Color', hue=0.7), 'path.hue=0.7'),
        (dict(type='eqssl.Blur', sigma=(2, 1)), r'path.sigma=\(2, 1\) is not a range'),
        (dict(type='eqssl.Compose', paths=[]), 'path: Compose needs at least one path'),
    ],
)
def test_parameters_out_of_range_are_refused(config, message, registered):
    with pytest.raises(UserError, match=message):
        build_path(config)


def test_theta_of_the_wrong_size_and_fraction_out_of_range_are_refused():
    with pytest.raises(ValueError, match='shape'):
        Rotation().apply(images(), torch.zeros(4, 2))
    with pytest.raises(ValueError, match='fraction'):
        Rotation().apply(images(), torch.zeros(4, 1), 1.5)
