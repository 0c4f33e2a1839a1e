"""KID, FID, precision and recall between two clouds of features, by torch-fidelity.

torch-fidelity calls the generated input 1 and the real one 2; here they are named. Lead with KID:
it is unbiased at any n. FID is biased upwards by an amount that shrinks as 1/n, so two FIDs may be
compared only at the same n, and a FID without its n says nothing.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kernel_poly, kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.metric import percentile_interval

Vectors = NDArray[np.float64]
"""Features `[N, D]`."""

KID_SUBSET = 200
KID_SUBSETS = 100
KID_RESAMPLES = 200
KERNEL = {"kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1}
"""The kernel of the KID paper, (x.y / D + 1) cubed, for value and interval alike."""
NEIGHBOURHOOD = 3
"""k of the k-nearest-neighbour balls of precision and recall, as in their paper."""


def kernel_distance(*, fake: Vectors, real: Vectors, seed: int) -> float:
    """KID (Binkowski et al. 2018): squared maximum mean discrepancy, mean of 100 random subsets.

    Unbiased, so slightly negative where the laws agree. Subsets of 200 (fewer where n is smaller).

    Raises:
        PathoganError: fewer than two images on a side.
    """
    _need(2, fake, real)
    return kid_features_to_metric(
        torch.from_numpy(fake),
        torch.from_numpy(real),
        kid_subset_size=min(KID_SUBSET, len(fake), len(real)),
        kid_subsets=KID_SUBSETS,
        kid_kernel="poly",
        rng_seed=seed,
        verbose=False,
        **KERNEL,
    )["kernel_inception_distance_mean"]


def kernel_distance_interval(*, fake: Vectors, real: Vectors, seed: int) -> tuple[float, float]:
    """Percentile bootstrap of KID over images, both sides resampled.

    Pairs of an image with itself are left out of every resample: counted, its copies would make
    both sets look less varied and the distance too large. Where the laws are nearly equal the
    interval is too wide (the estimator is degenerate there): compare with the floor instead.
    """
    _need(2, fake, real)
    generator = np.random.default_rng(seed)
    fake_counts = _multinomial_counts(len(fake), generator)
    real_counts = _multinomial_counts(len(real), generator)
    across = np.einsum("bi,bi->b", fake_counts @ kernel_poly(fake, real, **KERNEL), real_counts)
    resampled = (
        _mean_kernel_within(fake_counts, kernel_poly(fake, fake, **KERNEL))
        + _mean_kernel_within(real_counts, kernel_poly(real, real, **KERNEL))
        - 2 * across / (len(fake) * len(real))
    )
    return percentile_interval(resampled)


def _multinomial_counts(n: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """How often each of n images appears in each resample, `[KID_RESAMPLES, n]`."""
    return generator.multinomial(n, np.full(n, 1 / n), KID_RESAMPLES).astype(np.float64)


def _mean_kernel_within(
    counts: NDArray[np.float64], kernel: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean kernel `[B]` over pairs of different images, weighted by counts `[B, n]`."""
    squares = counts**2
    pairs = np.einsum("bi,bi->b", counts @ kernel, counts) - squares @ np.diagonal(kernel)
    return pairs / (counts.sum(1) ** 2 - squares.sum(1))


def frechet_distance(*, fake: Vectors, real: Vectors) -> float:
    """Squared Frechet distance of two Gaussians fitted to the features, in double precision.

    Raises:
        PathoganError: fewer than two images on a side.
    """
    _need(2, fake, real)
    statistics = [
        fid_features_to_statistics(torch.from_numpy(np.asarray(side, np.float64)))
        for side in (fake, real)
    ]
    return fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]


def precision_and_recall(*, fake: Vectors, real: Vectors) -> tuple[float, float]:
    """Improved precision and recall (Kynkaanniemi et al. 2019), k = 3.

    Precision: the share of generated images within the real ones' neighbourhoods, hence plausible.
    Recall: the share of real images within the generated ones' neighbourhoods, hence covered. A
    generator collapsed on one good image has high precision and low recall. Both depend on n.

    Raises:
        PathoganError: no more images on a side than neighbours.
    """
    _need(NEIGHBOURHOOD + 1, fake, real)
    result = prc_features_to_metric(
        torch.from_numpy(fake),
        torch.from_numpy(real),
        prc_neighborhood=NEIGHBOURHOOD,
        prc_batch_size=10_000,
        save_cpu_ram=False,
        verbose=False,
    )
    return result["precision"], result["recall"]


def _need(n: int, *sides: Vectors) -> None:
    if (fewest := min(len(side) for side in sides)) < n:
        raise PathoganError(f"{fewest} images on a side, {n} needed", remedy="measure more images")
