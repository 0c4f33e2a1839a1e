from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import correlate

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation import msssim
from pathogan_core.evaluation.msssim import diversity, ms_ssim, scales_for


def slow_ms_ssim(first: np.ndarray, second: np.ndarray) -> float:
    """The published definition, window by window, for one pair."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    first, second = first.astype(float), second.astype(float)
    all_weights = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]
    scales = 1
    while scales < 5 and len(first) // 2**scales >= 11:
        scales += 1
    result = 1.0
    for scale in range(scales):
        contrast, whole = [], []
        for row in range(len(first) - 10):
            for column in range(len(first) - 10):
                x, y = (image[row : row + 11, column : column + 11] for image in (first, second))
                mx, my = (window * x).sum(), (window * y).sum()
                vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
                cov = (window * (x - mx) * (y - my)).sum()
                c = (2 * cov + 58.5225) / (vx + vy + 58.5225)
                contrast.append(c)
                whole.append(c * (2 * mx * my + 6.5025) / (mx**2 + my**2 + 6.5025))
        term = np.mean(whole if scale == scales - 1 else contrast)
        result *= max(term, 0) ** (all_weights[scale] / sum(all_weights[:scales]))
        first, second = (
            correlate(image, np.full((2, 2), 0.25), origin=-1)[: len(image) // 2 * 2 : 2, ::2][
                : len(image) // 2, : len(image) // 2
            ]
            for image in (first, second)
        )
    return result


def test_scales_fit_the_image() -> None:
    sizes = (11, 21, 22, 43, 44, 64, 128, 175, 176, 512)
    assert [scales_for(size) for size in sizes] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


@pytest.mark.parametrize("size", [20, 45, 64])
def test_agrees_with_the_definition(make_images, size: int) -> None:
    first, noise = make_images(2, seed=0, size=size), make_images(2, seed=1, size=size, blur=1.0)
    near = (0.7 * first + 0.3 * noise).astype(np.uint8)
    expected = [slow_ms_ssim(x, y) for x, y in zip(first, near, strict=True)]
    np.testing.assert_allclose(ms_ssim(first, near), expected, rtol=1e-9)
    assert min(expected) > 0


def test_closed_forms(make_images) -> None:
    images = make_images(3, seed=0)
    np.testing.assert_allclose(ms_ssim(images, images), 1, rtol=1e-12)
    a, b = 50, 200
    flat = [np.full((1, 64, 64), level, np.uint8) for level in (a, b)]
    luminance = (2 * a * b + msssim.C1) / (a**2 + b**2 + msssim.C1)
    weights = msssim.WEIGHTS[:3]
    assert ms_ssim(*flat)[0] == pytest.approx(luminance ** (weights[-1] / sum(weights)))


def test_a_negative_image_scores_zero_and_not_nan(make_images) -> None:
    images = make_images(2, seed=0)
    assert ms_ssim(images, 255 - images).tolist() == [0.0, 0.0]


def test_symmetric_and_independent_of_the_batch(make_images) -> None:
    first, second = make_images(7, seed=0), make_images(7, seed=1)
    np.testing.assert_allclose(ms_ssim(first, second), ms_ssim(second, first), rtol=1e-12)
    np.testing.assert_allclose(ms_ssim(first, second, batch=2), ms_ssim(first, second), rtol=1e-12)


def test_pairs_are_disjoint_and_between_patients(make_images) -> None:
    images = make_images(40, seed=0, patients=4)
    patients = np.array([f"p{i % 4}" for i in range(40)])
    result = diversity(images, seed=2, patients=patients)
    assert len(np.unique(result.pairs)) == result.pairs.size > 0
    owners = patients[result.pairs]
    assert (owners[:, 0] != owners[:, 1]).all()
    within = diversity(images[patients == "p0"], seed=2, patients=patients[patients == "p0"])
    assert within.mean > result.mean


def test_a_repeating_generator_is_less_diverse(make_images) -> None:
    real = make_images(40, seed=0)
    repeating = np.repeat(make_images(4, seed=1), 10, axis=0)
    few, many = diversity(repeating, seed=0), diversity(real, seed=0)
    assert few.interval[0] > many.interval[1]
    assert many.interval[0] < many.mean < many.interval[1]
    assert diversity(real, seed=0).mean == many.mean


def test_too_small_or_too_few_are_refused(make_images) -> None:
    tiny = make_images(4, seed=0, size=10)
    with pytest.raises(PathoganError, match="11 px or more"):
        ms_ssim(tiny, tiny)
    with pytest.raises(PathoganError, match="3 given, at least 4"):
        diversity(make_images(3, seed=0), seed=0)
