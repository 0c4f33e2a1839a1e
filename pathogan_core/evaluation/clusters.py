"""Means of things that come in clusters (boxes of an image, slices of a patient), resampled whole.

Slices of one patient are alike, and so are boxes of one image. An interval that drew them one by
one would be too short, so whole clusters are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pathogan_core.evaluation.metric import Metric, percentile_interval

RESAMPLES = 2000


@dataclass(frozen=True, eq=False)
class Resampled:
    """Means over a set, as observed and from resampled clusters.

    Args:
        value: ``[...]``, as observed.
        draws: ``[R, ...]``, from as many clusters as there are.
        n: how many values.
        unit_of_draw: the clusters, in words.
    """

    value: NDArray[np.float64]
    draws: NDArray[np.float64]
    n: int
    unit_of_draw: str

    def __getitem__(self, column: int) -> Resampled:
        """One of several means."""
        value, draws = self.value[column], self.draws[:, column]
        return Resampled(value, draws, self.n, self.unit_of_draw)

    def metric(self, unit: str) -> Metric:
        """With a percentile interval, of a single mean."""
        return as_metric(self.value, self.draws, self.n, unit, self.unit_of_draw)


def resampled_means(
    values: ArrayLike,
    clusters: ArrayLike,
    *,
    unit_of_draw: str,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Resampled | None:
    """The mean of values, and the same of as many clusters drawn with replacement.

    Args:
        values: ``[n, ...]``; all are finite.
        clusters: ``[n]``, whose each value is: numbers or names.
        unit_of_draw: the clusters, in words, e.g. "images".
        resamples, seed: of the draws.

    Returns:
        None without values.
    """
    array = np.asarray(values, np.float64)
    if not len(array):
        return None
    names, owner = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.zeros((len(names), *array.shape[1:]))
    np.add.at(sums, owner, array)
    counts = np.bincount(owner).astype(np.float64)
    even = np.full(len(names), 1 / len(names))
    times = np.random.default_rng(seed).multinomial(len(names), even, resamples)
    totals = np.tensordot(times, sums, axes=1)
    drawn = (times @ counts).reshape(-1, *(1,) * (array.ndim - 1))
    return Resampled(array.mean(axis=0), totals / drawn, len(array), unit_of_draw)


def as_metric(
    value: ArrayLike, draws: NDArray[np.float64], n: int, unit: str, unit_of_draw: str
) -> Metric:
    """What was observed, with the percentile interval of its resamples ``[R]``."""
    return Metric(
        value=float(np.asarray(value)),
        n=n,
        interval=percentile_interval(draws),
        interval_method=f"bootstrap over {unit_of_draw}, 95%",
        unit=unit,
    )
