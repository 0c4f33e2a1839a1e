"""One measured number with what is needed to judge it, and the intervals the measures share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Z_95 = 1.959963984540054
"""The standard normal's 97.5th percentile: two-sided 95% intervals."""


@dataclass(frozen=True)
class Metric:
    """A measured number as a record stores it.

    Args:
        value: the point estimate.
        n: how many images (pairs, answers) it rests on; the unit says which where it is not images.
        interval: 95% interval `(low, high)`, or None where no honest one is cheap.
        interval_method: how the interval was made, in words; None exactly when `interval` is.
        unit: what the number counts or is measured in; "1" for a bare ratio or score.

    Raises:
        ValueError: a value that is not finite, or an interval without its method.
    """

    value: float
    n: int
    interval: tuple[float, float] | None = None
    interval_method: str | None = None
    unit: str = "1"

    def __post_init__(self) -> None:
        numbers = (self.value, *(self.interval or ()))
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError(f"a metric must be finite, got {numbers}")
        if (self.interval is None) != (self.interval_method is None):
            raise ValueError("an interval and its method come together")

    def as_json(self) -> dict[str, Any]:
        """The entry of a record's `metrics` (plain Python numbers, interval as a list)."""
        return {
            "value": float(self.value),
            "n": int(self.n),
            "interval": None if self.interval is None else [float(end) for end in self.interval],
            "interval_method": self.interval_method,
            "unit": self.unit,
        }


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """Wilson's 95% score interval of a proportion; useful near 0 and 1, unlike the normal one."""
    share, spread = successes / n, Z_95**2 / n
    centre = (share + spread / 2) / (1 + spread)
    half = Z_95 * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def proportion(successes: int, n: int, condition: str = "") -> Metric:
    """A share of `n` images with its Wilson interval; `condition` says what was held fixed."""
    return Metric(
        value=successes / n,
        n=n,
        interval=wilson_interval(successes, n),
        interval_method="Wilson 95%" + (f", {condition}" if condition else ""),
    )


def percentile_interval(resampled: NDArray[np.float64]) -> tuple[float, float]:
    """The central 95% of bootstrap values `[resamples]`."""
    low, high = np.percentile(resampled, [2.5, 97.5])
    return float(low), float(high)


def bootstrap_means(
    values: NDArray[np.float64], *, resamples: int, seed: int
) -> NDArray[np.float64]:
    """Means `[resamples]` of `values` `[n]` drawn n times with replacement."""
    generator = np.random.default_rng(seed)
    draws = generator.integers(len(values), size=(resamples, len(values)))
    return values[draws].mean(axis=1)
