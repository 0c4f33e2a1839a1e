"""CPM by class, and of boxes in volumes by the thesis' overlap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.cpm import (
    ALL,
    SIZES,
    Judged,
    curve,
    judged_boxes,
    measure,
    size_classes,
)
from pathogan_core.evaluation.detection import Detections, Truth, froc, match


def random_boxes(count: int, rng: np.random.Generator) -> np.ndarray:
    low = rng.uniform(0, 10, (count, 3))
    return np.hstack([low, low + rng.uniform(2, 8, (count, 3))])


def random_case(seed: int, *, tied: bool = False) -> tuple[Truth, Detections]:
    rng = np.random.default_rng(seed)
    truth = Truth(4, rng.integers(4, size=12), random_boxes(12, rng))
    scores = rng.integers(5, size=40) / 5 if tied else rng.permutation(40) / 40
    return truth, Detections(rng.integers(4, size=40), random_boxes(40, rng), scores)


def test_size_classes_end_at_10_and_20_mm() -> None:
    classes = size_classes([3.0, 10.0, 10.001, 20.0, 20.001, 90.0])
    assert list(classes) == list(SIZES)
    assert classes["small"].tolist() == [True, True, False, False, False, False]
    assert classes["medium"].tolist() == [False, False, True, True, False, False]
    assert np.sum(list(classes.values()), axis=0).tolist() == [1] * 6


def hand_worked() -> Judged:
    """One scan. Found at 0.9 (first), 0.6 (third), never (second); false at 0.8, 0.7, 0.7."""
    no = np.zeros(3, dtype=np.int64)
    return Judged(1, no, np.array([0.9, -np.inf, 0.6]), no, np.array([0.7, 0.8, 0.7]))


def test_a_class_is_read_at_the_false_positives_of_all() -> None:
    classes = {"first": np.array([1, 0, 0], bool), "others": np.array([0, 1, 1], bool)}
    found = measure(hand_worked(), {**classes, "none": np.zeros(3, bool)}, rates=(0.5, 2, 3, 4))
    assert found["first"].sensitivity == (1, 1, 1, 1)
    assert found["others"].sensitivity == (0, 0, 0.5, 0.5)
    assert found[ALL].sensitivity == pytest.approx((1 / 3, 1 / 3, 2 / 3, 2 / 3))
    assert (found[ALL].nodules, found["others"].nodules, found["others"].value) == (3, 2, 0.25)
    none = found["none"]
    assert (none.nodules, none.value, none.sensitivity) == (0, None, None)
    assert found[ALL].interval is None  # one scan says nothing about others


def test_the_curve_leaves_out_what_lies_on_a_line() -> None:
    line = curve(hand_worked())
    assert line.scores.tolist() == [np.inf, 0.9, 0.7, 0.6]
    assert line.fps_per_scan.tolist() == [0, 0, 3, 3]
    assert line.sensitivity == pytest.approx([0, 1 / 3, 1 / 3, 2 / 3])


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=40, deadline=None)
def test_hits_of_classes_add_up_to_all(seed: int, tied: bool) -> None:
    truth, detections = random_case(seed, tied=tied)
    classes = size_classes(np.random.default_rng(seed).uniform(3, 30, 12))
    found = measure(judged_boxes(truth, detections), classes, resamples=10)
    hits = [
        one.nodules * np.array(one.sensitivity)
        for name, one in found.items()
        if name != ALL and one.nodules
    ]
    np.testing.assert_allclose(np.sum(hits, axis=0), 12 * np.array(found[ALL].sensitivity))
    low, high = found[ALL].interval
    assert 0 <= low <= high <= 1


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_without_equal_scores_every_rate_reads_as_the_other_curve_does(seed: int) -> None:
    """`detection.Froc` takes the highest point within a rate; here a line is read."""
    truth, detections = random_case(seed)
    other = froc(match(truth, detections, (0.25,)), 0.25)
    found = measure(judged_boxes(truth, detections), resamples=1)[ALL]
    assert found.value == pytest.approx(other.mean_sensitivity())


def test_equal_scores_are_where_the_two_readings_differ() -> None:
    no = np.zeros(1, dtype=np.int64)
    line = curve(Judged(1, no, np.array([0.5]), no, np.array([0.5])))
    assert line.at([0.25, 1]).tolist() == [0.25, 1]


def exact_iou(a: np.ndarray, b: np.ndarray) -> float:
    both = 1.0
    for low, high, other_low, other_high in zip(a[:3], a[3:], b[:3], b[3:], strict=True):
        both *= max(0.0, min(high, other_high) - max(low, other_low))
    return both / (np.prod(a[3:] - a[:3]) + np.prod(b[3:] - b[:3]) - both)


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=40, deadline=None)
def test_boxes_in_volumes_are_matched_as_loops_do_it(seed: int, tied: bool) -> None:
    truth, detections = random_case(seed, tied=tied)
    found_at, false = [-np.inf] * 12, []
    for k in sorted(range(40), key=lambda k: (-detections.scores[k], k)):
        free = [
            (-exact_iou(detections.boxes[k], truth.boxes[m]), m)
            for m in range(12)
            if truth.images[m] == detections.images[k] and found_at[m] == -np.inf
        ]
        best = min(free, default=(0.0, -1))
        if -best[0] >= 0.25:
            found_at[best[1]] = detections.scores[k]
        else:
            false.append((detections.images[k], detections.scores[k]))
    judged = judged_boxes(truth, detections)
    assert judged.found_at.tolist() == found_at
    given_false = zip(judged.false_scans, judged.false_at, strict=True)
    assert sorted(given_false) == sorted(false)


def test_a_flat_pile_of_boxes_is_what_it_is_in_an_image() -> None:
    """Boxes of one depth overlap as their outlines do."""
    rng = np.random.default_rng(3)
    flat = random_boxes(30, rng)
    flat[:, 0], flat[:, 3] = 2, 7
    owners, scores = rng.integers(3, size=30), rng.random(30)
    seen = flat[:, [2, 1, 5, 4]]
    taken = [
        match(
            Truth(3, owners[:10], table[:10]),
            Detections(owners[10:], table[10:], scores[10:]),
            (0.25,),
        ).taken[0.25]
        for table in (flat, seen)
    ]
    np.testing.assert_array_equal(*taken)
    assert (taken[0] >= 0).any()


def test_boxes_of_volumes_and_of_images_do_not_mix() -> None:
    truth, detections = random_case(0)
    outlines = detections.boxes[:, [2, 1, 5, 4]]
    with pytest.raises(PathoganError, match="detections: boxes have four columns, and the truth"):
        judged_boxes(truth, Detections(detections.images, outlines, detections.scores))


def test_intervals_hold_what_they_estimate() -> None:
    """Of 200 cohorts nearly 95% have an interval with the CPM of what they were drawn from."""
    rng = np.random.default_rng(0)
    population = 0.7  # each nodule is found with this probability, and nothing is false
    held = 0
    for seed in range(200):
        found = np.where(rng.random(60) < population, 1.0, -np.inf)
        none = np.zeros(0)
        judged = Judged(60, np.arange(60), found, none.astype(np.int64), none)
        low, high = measure(judged, resamples=100, seed=seed)[ALL].interval
        held += low <= population <= high
    assert 0.88 < held / 200 < 0.99
