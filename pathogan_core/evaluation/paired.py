"""Arms against a baseline: paired differences from resampled patients and seeds, with Holm.

Images of one patient are alike and runs of one seed began alike, so both are drawn, apart from each
other, and alike for every arm. What is measured in a draw is the caller's business: see
`classification` and `detection_comparison`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.metric import percentile_interval
from pathogan_core.evaluation.turing import holm

RESAMPLES = 2000
INTERVAL_METHOD = "bootstrap over patients, 95%"
INTERVAL_METHOD_SEEDS = "bootstrap over patients and seeds, 95%"

Values = dict[str, NDArray[np.float64]]
"""By measure, an array whose first axis is the draws."""
Runs = TypeVar("Runs")
"""What one set of runs, equal but for their seeds, left behind."""


@dataclass(frozen=True)
class Difference:
    """One arm minus the baseline, in one measure.

    Attributes:
        value: mean over seeds.
        interval: 95%, from resampling patients and, where there are several, seeds.
        p_value: two-sided, of the same resamples; at least 2 / (resamples + 1).
        p_adjusted: after Holm, over the arms that were compared in this measure.
        seeds, patients: what it rests on. One seed says nothing about training again.
    """

    value: float
    interval: tuple[float, float]
    p_value: float
    p_adjusted: float
    seeds: int
    patients: int


def resampled_means(
    sets_of_runs: Sequence[Runs],
    measure: Callable[[Runs, NDArray[np.float64]], Values],
    *,
    seeds: int,
    patients: int,
    resamples: int,
    seed: int,
) -> list[Values]:
    """Of each set of runs the mean over seeds: as observed, then resampled.

    Args:
        sets_of_runs: one for each arm.
        measure: of a set of runs and of how often each patient counts in each draw
            ``[draws, patients]``, every measure ``[draws, seeds]``; NaN where a draw lacks what it
            is a share of.
        seeds, patients: how many there are, in every set.
        resamples, seed: of the bootstrap.

    Returns:
        For each set, values ``[1 + resamples]`` by measure.
    """
    rng = np.random.default_rng(seed)
    draws = np.vstack([np.ones(patients), _multiplicities(patients, resamples, rng)])
    weights = np.vstack([np.ones(seeds), _multiplicities(seeds, resamples, rng)])
    weights /= weights.sum(axis=1, keepdims=True)

    def means(runs: Runs) -> Values:
        by_seed = measure(runs, draws)
        return {name: (values * weights).sum(axis=1) for name, values in by_seed.items()}

    return [means(runs) for runs in sets_of_runs]


def differences(
    baseline: Values, arms: Mapping[str, Values], *, seeds: int, patients: int
) -> dict[str, dict[str, Difference]]:
    """Paired differences of arms to a baseline, by arm and measure.

    Args:
        baseline, arms: of `resampled_means`, from the same draws.
        seeds, patients: what they rest on.

    Raises:
        PathoganError: a measure that no resample defines.
    """
    found = {
        arm: {
            name: _difference(values[name] - baseline[name], seeds, patients) for name in baseline
        }
        for arm, values in arms.items()
    }
    for name in baseline:  # Holm's correction over arms, for each measure apart
        p_values = holm([by_measure[name].p_value for by_measure in found.values()])
        for by_measure, p_adjusted in zip(found.values(), p_values, strict=True):
            by_measure[name] = replace(by_measure[name], p_adjusted=p_adjusted)
    return found


def defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without the resamples that lack what the measure is a share of.

    Raises:
        PathoganError: nothing is left.
    """
    kept = values[~np.isnan(values)]
    if not len(kept):
        raise PathoganError(
            "no resample of patients holds what a measure is a share of",
            where="test images",
            remedy="test on more patients",
        )
    return kept


def _difference(values: NDArray[np.float64], seeds: int, patients: int) -> Difference:
    observed, resampled = float(values[0]), defined(values[1:])
    below, above = (resampled <= 0).sum(), (resampled >= 0).sum()
    p_value = min(1.0, 2 * (min(below, above) + 1) / (len(resampled) + 1))
    interval = percentile_interval(resampled)
    return Difference(observed, interval, float(p_value), float(p_value), seeds, patients)


def _multiplicities(units: int, resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """How often each unit is drawn, ``[resamples, units]``, in units - 1 draws with replacement.

    As many draws as units would make the variance of a mean too small by (units - 1) / units:
    a third, with three seeds.
    """
    return rng.multinomial(max(units - 1, 1), [1 / units] * units, resamples).astype(float)
