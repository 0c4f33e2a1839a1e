"""Means of clusters: what is drawn together, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from pathogan_core.evaluation.clusters import resampled_means


def test_the_interval_is_that_of_as_many_clusters_not_of_as_many_values() -> None:
    rng = np.random.default_rng(0)
    by_cluster = rng.normal(5, 3, 30)
    alone = resampled_means(by_cluster, np.arange(30), unit_of_draw="images")
    copied = resampled_means(by_cluster.repeat(7), np.arange(30).repeat(7), unit_of_draw="images")
    assert alone is not None
    assert copied is not None
    assert copied.n == 210
    assert copied.draws == pytest.approx(alone.draws)
    assert alone.draws.std() == pytest.approx(by_cluster.std() / np.sqrt(30), rel=0.1)


def test_a_draw_is_a_mean_over_values_so_that_large_clusters_count_more() -> None:
    found = resampled_means([1.0, 4.0, 4.0, 4.0], ["a", "b", "b", "b"], unit_of_draw="patients")
    assert found is not None
    assert set(np.round(found.draws, 6)) == {1.0, 3.25, 4.0}
    metric = found.metric("1")
    assert (metric.value, metric.n) == (3.25, 4)
    assert metric.interval == (1.0, 4.0)
    assert metric.interval_method == "bootstrap over patients, 95%"


def test_several_means_are_drawn_together() -> None:
    values = np.random.default_rng(1).normal(0, 1, 20)
    found = resampled_means(
        np.stack([values, -2 * values], axis=1), np.arange(20), unit_of_draw="images"
    )
    assert found is not None
    assert found[1].draws == pytest.approx(-2 * found[0].draws)
    assert found[1].value == pytest.approx(-2 * values.mean())


def test_no_values_have_no_mean() -> None:
    assert resampled_means(np.empty((0, 3)), [], unit_of_draw="images") is None
