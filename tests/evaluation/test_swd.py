from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import convolve1d, gaussian_filter
from scipy.stats import wasserstein_distance

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation import swd


@pytest.mark.parametrize(
    ("size", "levels"),
    [(256, [256, 128, 64, 32, 16]), (64, [64, 32, 16]), (48, [48, 24]), (50, [50, 25]), (16, [16])],
)
def test_levels_fit_the_image(size: int, levels: list[int]) -> None:
    assert swd.pyramid_levels(size) == levels


def test_a_set_is_at_distance_zero_from_itself_in_any_order(make_images) -> None:
    images = make_images(30, seed=0)
    shuffled = np.random.default_rng(1).permutation(images)
    result = swd.sliced_wasserstein(shuffled, images, seed=3)
    assert list(result.by_level) == [64, 32, 16]
    assert result.mean == pytest.approx(0, abs=1e-3)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_swapping_the_sets_changes_nothing(make_images, seed: int) -> None:
    first, second = make_images(12, seed=seed, size=32), make_images(12, seed=seed + 1, size=32)
    there = swd.sliced_wasserstein(first, second, seed=seed)
    back = swd.sliced_wasserstein(second, first, seed=seed)
    assert there.by_level == pytest.approx(back.by_level)


def test_blur_is_seen_more_the_stronger_it_is_and_first_at_the_finest_level(make_images) -> None:
    real = make_images(60, seed=0, blur=1.0)
    other = make_images(60, seed=1, blur=1.0)
    blurred = [gaussian_filter(other, (0, sigma, sigma)) for sigma in (0.5, 1.0, 2.0)]
    results = [swd.sliced_wasserstein(fake, real, seed=0) for fake in (other, *blurred)]
    means = [result.mean for result in results]
    assert means == sorted(means)
    gains = {level: results[2].by_level[level] / results[0].by_level[level] for level in (64, 16)}
    assert gains[64] > gains[16]


def test_brightness_and_contrast_alone_are_not_seen(make_images) -> None:
    real = make_images(20, seed=0) // 4 * 2
    assert swd.sliced_wasserstein(real // 2 + 40, real, seed=0).mean == pytest.approx(0, abs=1e-2)


def test_pyramid_bands_agree_with_direct_filtering_and_rebuild_the_image(make_images) -> None:
    image = make_images(1, seed=0)
    taps = np.array([1, 4, 6, 4, 1]) / 16

    def blur(picture: np.ndarray) -> np.ndarray:
        return convolve1d(convolve1d(picture, taps, 1, mode="mirror"), taps, 2, mode="mirror")

    def expand(picture: np.ndarray) -> np.ndarray:
        spread = np.zeros((1, 2 * picture.shape[1], 2 * picture.shape[1]))
        spread[:, ::2, ::2] = picture
        return 4 * blur(spread)

    bands = swd._laplacian_pyramid(image)
    coarser = blur(image.astype(float))[:, ::2, ::2]
    np.testing.assert_allclose(bands[0], image - expand(coarser), atol=1e-3)
    rebuilt = bands[-1]
    for band in reversed(bands[:-1]):
        rebuilt = band + expand(rebuilt)
    np.testing.assert_allclose(rebuilt, image, atol=1e-3)


def test_projected_distance_agrees_with_scipy() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.standard_normal((2, 50, 49)).astype(np.float32)
    directions = swd._draw_directions(generator)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=0), 1, atol=1e-6)
    slow = [wasserstein_distance(first @ axis, second @ axis) for axis in directions.T]
    assert swd._mean_wasserstein(first, second, directions) == pytest.approx(
        np.mean(slow), rel=1e-5
    )


def test_same_seed_same_number_other_seed_another(make_images) -> None:
    fake, real = make_images(20, seed=0), make_images(30, seed=1)
    values = [swd.sliced_wasserstein(fake, real, seed=seed).mean for seed in (5, 5, 6)]
    assert values[0] == values[1] != values[2]
    assert swd.sliced_wasserstein(fake, real, seed=5).n == 20


def test_unlike_sizes_and_tiny_images_are_refused(make_images) -> None:
    with pytest.raises(PathoganError, match="64 px, real images 32 px"):
        swd.sliced_wasserstein(make_images(3, seed=0), make_images(3, seed=0, size=32), seed=0)
    small = make_images(3, seed=0, size=8)
    with pytest.raises(PathoganError, match="16 px or more"):
        swd.sliced_wasserstein(small, small, seed=0)
