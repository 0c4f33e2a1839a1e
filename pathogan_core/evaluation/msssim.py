"""Diversity as mean multi-scale structural similarity (MS-SSIM) between images of one set.

Sources: Wang, Simoncelli, Bovik, "Multi-scale structural similarity" (Asilomar 2003) for the
index; Odena, Olah, Shlens, "Conditional image synthesis with auxiliary classifier GANs" (ICML
2017) for its use on pairs of generated images. A mean well above that of real pairs says that the
generator repeats itself; one below it may mean variety or merely noise, so it is no quality score.
Shared black background raises every value: only the comparison with real pairs means something.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.images import Images, check_images, check_same_size
from pathogan_core.evaluation.metric import bootstrap_means, percentile_interval

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales in the source, finest first."""
WINDOW, SIGMA = 11, 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
RESAMPLES = 1000

Levels = NDArray[np.float64]
"""Grey levels 0 to 255, `[N, S, S]`; float64, for variances are differences of large squares."""


@dataclass(frozen=True)
class Diversity:
    """Similarity of disjoint pairs drawn from one set (lower: more diverse).

    `similarities` is `[pairs]`, `pairs` `[pairs, 2]` the images' indices, `interval` a percentile
    bootstrap over pairs, which are independent because no image is in two of them.
    """

    mean: float
    interval: tuple[float, float]
    scales: int
    similarities: NDArray[np.float64]
    pairs: NDArray[np.int64]


def scales_for(size: int) -> int:
    """How many scales an image allows: the coarsest must still hold the 11-pixel window."""
    scales = 1
    while scales < len(WEIGHTS) and size // 2**scales >= WINDOW:
        scales += 1
    return scales


def ms_ssim(first: Images, second: Images, *, batch: int = 64) -> NDArray[np.float64]:
    """MS-SSIM of images paired by position: uint8 `[N, S, S]` twice to float64 `[N]`, at most 1.

    Differs: as many of the five scales as the size allows (3 at 64 px, 4 at 128 px), their weights
    rescaled to sum to one. Differs: a negative contrast-structure mean counts as zero, because its
    fractional power is undefined.

    Raises:
        PathoganError: another type or shape, or images below 11 px.
    """
    check_images(first, "first")
    check_images(second, "second")
    check_same_size(first, second, ("first", "second"))
    if first.shape[1] < WINDOW:
        raise PathoganError(f"MS-SSIM needs images of {WINDOW} px or more, got {first.shape[1]} px")
    values = []
    for start in range(0, len(first), batch):
        pair = (side[start : start + batch].astype(np.float64) for side in (first, second))
        values.append(_ms_ssim_batch(*pair))
    return np.concatenate(values)


def diversity(images: Images, *, seed: int, patients: NDArray[np.str_] | None = None) -> Diversity:
    """Mean MS-SSIM over N // 2 disjoint random pairs of `images` (uint8 `[N, S, S]`).

    Args:
        patients: `[N]`, whose image each is. Pairs within a patient are left out (unless there is
            only one patient): neighbouring slices are near-copies, which no generator is asked for.
        seed: of the pairing and of the bootstrap.

    Raises:
        PathoganError: fewer than four images, or not images.
    """
    check_images(images, "paired", at_least=4)
    order = np.random.default_rng(seed).permutation(len(images))
    pairs = order[: len(images) // 2 * 2].reshape(-1, 2)
    if patients is not None:
        owners = np.asarray(patients)[pairs]
        between = owners[:, 0] != owners[:, 1]
        pairs = pairs[between] if between.any() else pairs
    values = ms_ssim(images[pairs[:, 0]], images[pairs[:, 1]])
    interval = percentile_interval(bootstrap_means(values, resamples=RESAMPLES, seed=seed))
    return Diversity(float(values.mean()), interval, scales_for(images.shape[1]), values, pairs)


def _ms_ssim_batch(first: Levels, second: Levels) -> NDArray[np.float64]:
    scales = scales_for(first.shape[-1])
    weights = np.array(WEIGHTS[:scales]) / sum(WEIGHTS[:scales])
    product = np.ones(len(first))
    for scale, weight in enumerate(weights):
        luminance, contrast_structure = _ssim_terms(first, second)
        # Luminance is compared at the coarsest scale only.
        last = scale == scales - 1
        term = (luminance * contrast_structure if last else contrast_structure).mean(axis=(1, 2))
        product *= np.maximum(term, 0) ** weight
        first, second = _halve(first), _halve(second)
    return product


def _ssim_terms(first: Levels, second: Levels) -> tuple[Levels, Levels]:
    """Luminance and contrast-structure maps over all whole windows."""
    window = _window_matrix(first.shape[-1])
    mean_1, mean_2, square_1, square_2, product = (
        window @ image @ window.T for image in (first, second, first**2, second**2, first * second)
    )
    luminance = (2 * mean_1 * mean_2 + C1) / (mean_1**2 + mean_2**2 + C1)
    covariance = product - mean_1 * mean_2
    variances = (square_1 - mean_1**2) + (square_2 - mean_2**2)
    return luminance, (2 * covariance + C2) / (variances + C2)


def _window_matrix(size: int) -> Levels:
    """The Gaussian window, without padding, as a matrix `[size - 10, size]`: BLAS beats conv2d."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    taps = np.exp(-(offsets**2) / (2 * SIGMA**2))
    windows = size - WINDOW + 1
    matrix = np.zeros((windows, size))
    for shift, tap in enumerate(taps / taps.sum()):
        matrix[np.arange(windows), np.arange(windows) + shift] = tap
    return matrix


def _halve(images: Levels) -> Levels:
    """Means of 2x2 pixels; an odd last row or column is dropped."""
    even = images.shape[-1] // 2 * 2
    rows = images[:, 0:even:2, :even] + images[:, 1:even:2, :even]
    return (rows[:, :, ::2] + rows[:, :, 1::2]) / 4
