from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from pathogan_core.evaluation.metric import (
    Z_95,
    Metric,
    bootstrap_means,
    percentile_interval,
    wilson_interval,
)


@given(st.integers(1, 400), st.data())
def test_wilson_ends_are_where_the_score_test_just_rejects(n: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, n))
    low, high = wilson_interval(successes, n)

    def score(share: float) -> float:
        return (successes / n - share) ** 2 - Z_95**2 * share * (1 - share) / n

    observed, nudge = successes / n, 1e-9  # the score also vanishes at an observed 0 or 1
    below = brentq(score, 0, observed - nudge) if successes else 0.0
    above = brentq(score, observed + nudge, 1) if successes < n else 1.0
    assert (low, high) == pytest.approx((below, above), abs=1e-9)


def test_bootstrap_interval_of_a_mean_is_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, 2000)
    low, high = percentile_interval(bootstrap_means(values, resamples=4000, seed=1))
    half = Z_95 * values.std() / math.sqrt(len(values))
    assert (low, high) == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.15 * half
    )


def test_json_is_plain() -> None:
    metric = Metric(np.float64(0.5), np.int64(4), (np.float32(0.25), np.float32(0.75)), "how", "mm")
    written = json.loads(json.dumps(metric.as_json()))
    assert written == {
        "value": 0.5,
        "n": 4,
        "interval": [0.25, 0.75],
        "interval_method": "how",
        "unit": "mm",
    }
    assert Metric(1.0, 2).as_json()["interval"] is None


@pytest.mark.parametrize(
    "arguments",
    [(math.nan, 3), (1.0, 3, (0.0, math.inf), "how"), (1.0, 3, (0.0, 1.0)), (1.0, 3, None, "how")],
)
def test_senseless_metrics_are_refused(arguments: tuple) -> None:
    with pytest.raises(ValueError, match=r"finite|together"):
        Metric(*arguments)
