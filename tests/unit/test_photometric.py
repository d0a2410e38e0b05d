"""Photometrics against torchvision's definitions, sample by sample."""

from __future__ import annotations

import pytest
import torch
import torchvision.transforms.v2.functional as tv

from eqssl.augment import photometric as ph


def images() -> torch.Tensor:
    return torch.rand(6, 3, 17, 19, generator=torch.Generator().manual_seed(3))


FACTORS = torch.tensor([0.6, 0.8, 1.0, 1.1, 1.3, 1.4])
HUES = torch.tensor([-0.5, -0.1, 0.0, 0.05, 0.1, 0.4])


@pytest.mark.parametrize(
    ('ours', 'theirs', 'values'),
    [
        (ph.adjust_brightness, tv.adjust_brightness, FACTORS),
        (ph.adjust_contrast, tv.adjust_contrast, FACTORS),
        (ph.adjust_saturation, tv.adjust_saturation, FACTORS),
        (ph.adjust_hue, tv.adjust_hue, HUES),
    ],
)
def test_color_operations_equal_torchvision(ours, theirs, values):
    x = images()
    want = torch.stack([theirs(image, float(v)) for image, v in zip(x, values, strict=True)])
    torch.testing.assert_close(ours(x, values), want, atol=2e-5, rtol=0)


def test_gray_images_keep_their_hue_exactly():
    x = torch.rand(6, 1, 8, 8).expand(6, 3, 8, 8)
    torch.testing.assert_close(ph.adjust_hue(x, HUES), x, atol=1e-6, rtol=0)


def test_neutral_parameters_are_exactly_the_identity():
    x = images()
    neutral = torch.tensor([1.0, 1, 1, 0, 0, 0, 0]).expand(6, 7)
    assert torch.equal(ph.apply_photometrics(x, neutral), x)


def test_solarize_and_gray_equal_torchvision_where_flagged():
    x, flag = images(), torch.tensor([1.0, 0, 1, 0, 1, 0])
    torch.testing.assert_close(ph.solarize(x, flag)[::2], tv.solarize(x[::2], 0.5))
    assert torch.equal(ph.solarize(x, flag)[1::2], x[1::2])
    torch.testing.assert_close(ph.to_gray(x, flag)[::2], tv.rgb_to_grayscale(x[::2], 3), atol=1e-3, rtol=0)
    assert torch.equal(ph.to_gray(x, flag)[1::2], x[1::2])


def test_blur_equals_torchvision_with_a_sigma_per_image():
    x, sigma = images(), torch.tensor([0.0, 0.3, 0.5, 1.0, 1.5, 2.0])
    got = ph.gaussian_blur(x, sigma)
    assert torch.equal(got[0], x[0])
    for i in range(1, 6):
        want = tv.gaussian_blur(x[i], [13, 13], [float(sigma[i])] * 2)
        torch.testing.assert_close(got[i], want, atol=1e-5, rtol=0)
