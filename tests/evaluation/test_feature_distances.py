from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.feature_distances import (
    frechet_distance,
    kernel_distance,
    kernel_distance_interval,
    precision_and_recall,
)


def gaussian(n: int, dimensions: int, seed: int, mean: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dimensions)) + mean


def with_moments(vectors: np.ndarray, mean: np.ndarray, root: np.ndarray) -> np.ndarray:
    """The points moved so that their mean and covariance are exactly `mean`, `root @ root.T`."""
    centred = vectors - vectors.mean(axis=0)
    whitened = centred @ np.linalg.inv(np.linalg.cholesky(np.cov(centred, rowvar=False))).T
    return whitened @ root.T + mean


def test_fid_is_the_closed_form_of_two_gaussians() -> None:
    generator = np.random.default_rng(0)
    roots = generator.standard_normal((2, 5, 5))
    means = generator.standard_normal((2, 5))
    fake, real = (with_moments(gaussian(300, 5, seed), means[seed], roots[seed]) for seed in (0, 1))
    covariances = [root @ root.T for root in roots]
    expected = ((means[0] - means[1]) ** 2).sum() + np.trace(
        covariances[0] + covariances[1] - 2 * sqrtm(covariances[0] @ covariances[1]).real
    )
    assert frechet_distance(fake=fake, real=real) == pytest.approx(expected, rel=1e-6)


def test_fid_is_biased_by_n_where_kid_is_not() -> None:
    fids, kids = [], []
    for n in (100, 1000):
        fake, real = gaussian(n, 64, 1), gaussian(n, 64, 2)
        fids.append(frechet_distance(fake=fake, real=real))
        kids.append(kernel_distance(fake=fake, real=real, seed=0))
    assert fids[0] > 5 * fids[1] > 0
    far = kernel_distance(fake=gaussian(1000, 64, 1, mean=0.3), real=gaussian(1000, 64, 2), seed=0)
    assert np.abs(kids).max() < 0.1 * far


def test_kid_of_all_images_is_the_unbiased_estimator_by_hand() -> None:
    fake, real = gaussian(12, 3, 0), gaussian(12, 3, 1, mean=0.5)

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return (x @ y / 3 + 1) ** 3

    pairs = [(i, j) for i in range(12) for j in range(12) if i != j]
    within = [np.mean([kernel(side[i], side[j]) for i, j in pairs]) for side in (fake, real)]
    across = np.mean([kernel(x, y) for x in fake for y in real])
    by_hand = sum(within) - 2 * across
    assert kernel_distance(fake=fake, real=real, seed=0) == pytest.approx(by_hand)


def test_kid_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    # A large sample stands for the truth; the laws differ, so the estimator is not degenerate.
    truth = kernel_distance(fake=gaussian(20_000, 4, 90, 0.4), real=gaussian(20_000, 4, 91), seed=0)
    held = 0
    for trial in range(60):
        fake, real = gaussian(150, 4, 2 * trial, mean=0.4), gaussian(150, 4, 2 * trial + 1)
        low, high = kernel_distance_interval(fake=fake, real=real, seed=trial)
        held += low <= truth <= high
    assert held >= 50  # 57 expected, standard deviation 1.7


def test_a_collapsed_generator_is_precise_and_recalls_little() -> None:
    real = gaussian(300, 4, 0)
    collapsed = 0.01 * gaussian(300, 4, 1)
    precision, recall = precision_and_recall(fake=collapsed, real=real)
    assert precision > 0.95
    assert recall < 0.05


def test_a_scattering_generator_recalls_and_is_not_precise() -> None:
    real = 0.01 * gaussian(300, 4, 0)
    precision, recall = precision_and_recall(fake=gaussian(300, 4, 1), real=real)
    assert precision < 0.05
    assert recall > 0.95


def test_identical_sets_are_perfect_and_distant_ones_hopeless() -> None:
    real = gaussian(50, 4, 0)
    assert precision_and_recall(fake=real, real=real) == (1, 1)
    assert precision_and_recall(fake=real + 100, real=real) == (0, 0)
    assert frechet_distance(fake=real, real=real) == pytest.approx(0, abs=1e-6)


def test_same_seed_same_kid() -> None:
    fake, real = gaussian(300, 4, 0), gaussian(300, 4, 1)
    values = [kernel_distance(fake=fake, real=real, seed=seed) for seed in (1, 1, 2)]
    assert values[0] == values[1] != values[2]
    intervals = [kernel_distance_interval(fake=fake, real=real, seed=seed) for seed in (1, 1, 2)]
    assert intervals[0] == intervals[1] != intervals[2]


def test_too_few_images_are_refused() -> None:
    with pytest.raises(PathoganError, match="3 images on a side, 4 needed"):
        precision_and_recall(fake=gaussian(3, 4, 0), real=gaussian(9, 4, 0))
    with pytest.raises(PathoganError, match="1 images on a side, 2 needed"):
        kernel_distance(fake=gaussian(1, 4, 0), real=gaussian(9, 4, 0), seed=0)
