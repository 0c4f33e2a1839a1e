"""Intervals and differences of detectors against closed forms and physically repeated images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation import detection_comparison
from pathogan_core.evaluation.detection import (
    LEVELS,
    Detections,
    Outcomes,
    Truth,
    froc,
    match,
    operating_point,
)
from pathogan_core.evaluation.detection_comparison import (
    MEASURES,
    compare,
    level_name,
    measure,
)
from pathogan_core.evaluation.turing import holm

BOX = np.array([0.0, 0.0, 10.0, 10.0])
AWAY = BOX + 100


def patients(count: int = 12, images: int = 5) -> np.ndarray:
    return np.repeat([f"p{i}" for i in range(count)], images)


def outcomes(found: Sequence[bool], false: Sequence[int], scores: np.ndarray | None = None):
    """One lesion in each image, found or not, and some false positives; scores all 0.5 if None."""
    rows = [(i, BOX) for i, one in enumerate(found) if one]
    rows += [(i, AWAY) for i, number in enumerate(false) for _ in range(number)]
    images = np.array([i for i, _ in rows], dtype=np.int64)
    truth = Truth(len(found), np.arange(len(found)), np.tile(BOX, (len(found), 1)))
    table = np.array([box for _, box in rows]).reshape(-1, 4)
    scores = np.full(len(rows), 0.5) if scores is None else scores
    return match(truth, Detections(images, table, scores))


def simulated(seed: int, images: int = 60, skill: float = 1.0) -> Outcomes:
    """Lesions in two of three images, scores with ties, hits that score higher by `skill`."""
    rng = np.random.default_rng(seed)
    with_lesions = np.flatnonzero(np.arange(images) % 3 > 0)
    corners = np.array([(i, BOX + 20 * k) for i in with_lesions for k in range(1 + i % 2)], object)
    owners = corners[:, 0].astype(np.int64)
    truth = Truth(images, owners, np.stack(corners[:, 1]))
    hit = rng.random(len(owners)) < 0.8
    false = rng.integers(images, size=2 * images)
    scores = np.r_[rng.normal(skill, 1, hit.sum()), rng.normal(0, 1, len(false))].round(1)
    table = np.concatenate([truth.boxes[hit], np.tile(AWAY, (len(false), 1))])
    return match(truth, Detections(np.r_[owners[hit], false], table, scores))


def repeated(run: Outcomes, images: np.ndarray) -> Outcomes:
    """The run on a set of images that holds some of them several times and others never."""
    rows = [np.flatnonzero(run.images == image) for image in images]
    picked = np.concatenate(rows)
    places = np.repeat(np.arange(len(images)), [len(one) for one in rows])
    taken = {iou: own[picked] for iou, own in run.taken.items()}
    return Outcomes(places, run.scores[picked], taken, run.lesions[images])


def read(run: Outcomes, iou: float, threshold: float) -> dict[str, float]:
    point, curve = operating_point(run, iou, threshold), froc(run, iou)
    return {
        "sensitivity": point.sensitivity,
        "fps_per_image": point.fps_per_image,
        **{level_name(level): curve.at(level).sensitivity for level in LEVELS},
        "mean_sensitivity": curve.mean_sensitivity(),
    }


def test_values_are_those_of_the_operating_point_and_the_curve() -> None:
    run = simulated(0)
    found = measure([run], patients(), iou=0.5, threshold=0.4, resamples=10)
    expected = read(run, 0.5, 0.4)
    assert {name: metric.value for name, metric in found.items()} == pytest.approx(expected)
    assert found["fps_per_image"].n == 60
    assert found["sensitivity"].n == found["mean_sensitivity"].n == run.lesions.sum() == 60
    assert found["sensitivity"].interval_method == "bootstrap over patients, 95%"


def test_a_resample_is_the_same_as_images_repeated() -> None:
    """The interval's ends from tables of detections in which patients really occur repeatedly."""
    run, owners, resamples = simulated(1), patients(), 120
    found = measure([run], owners, iou=0.5, threshold=0.4, resamples=resamples, seed=5)
    names = np.unique(owners)
    rng = np.random.default_rng(5)
    draws = rng.multinomial(len(names) - 1, [1 / len(names)] * len(names), resamples)
    values: dict[str, list[float]] = {}
    for draw in draws:
        chosen = np.repeat(names, draw)
        images = np.concatenate([np.flatnonzero(owners == name) for name in chosen])
        for name, value in read(repeated(run, images), 0.5, 0.4).items():
            values.setdefault(name, []).append(value)
    for name, metric in found.items():
        assert metric.interval == pytest.approx(np.percentile(values[name], [2.5, 97.5]))


@pytest.mark.parametrize("at_once", [1, 100, detection_comparison.AT_ONCE])
def test_a_resample_is_read_off_its_own_curve_however_little_is_held_at_once(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exactly, at levels on a point of the curve, between two and beyond it: counts are whole."""
    monkeypatch.setattr(detection_comparison, "AT_ONCE", at_once)
    run, images = simulated(3), 60
    owners = np.repeat(np.arange(12), 5)
    draws = np.random.default_rng(0).multinomial(11, [1 / 12] * 12, 20).astype(float)
    sizes = draws @ np.full(12, 5.0)
    levels = [0.0, 1 / 55, 2 / 55, 10 / 55, 0.5, 1.9, 50.0]
    found = detection_comparison._hits_at(
        run, run.hits(0.5), owners[run.images], draws, sizes, levels
    )
    for draw, row in zip(draws, found.T, strict=True):
        again = np.repeat(np.arange(images), draw[owners].astype(int))
        curve = froc(repeated(run, again), 0.5)
        expected = [curve.at(level).sensitivity * curve.lesions for level in levels]
        assert row == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("images", [2, 30])
def test_interval_does_not_shrink_with_more_images_of_the_same_patients(images: int) -> None:
    """All lesions of 18 patients of 30 are found: the deviation is that of 30 patients."""
    good = np.repeat(np.arange(30) < 18, images)
    run = outcomes(good, [0] * len(good))
    found = measure([run], patients(30, images), iou=0.5, resamples=6000)["sensitivity"]
    by_patient = np.repeat([1.0, 0.0], [18, 12]).std(ddof=1) / np.sqrt(30)
    low, high = found.interval or (0, 0)
    assert (high - low) / 2 / 1.96 == pytest.approx(by_patient, rel=0.08)


@pytest.mark.parametrize(("found", "share"), [(True, 1.0), (False, 0.0)])
def test_all_or_nothing_has_an_interval_without_width(found: bool, share: float) -> None:
    run = outcomes([found] * 20, [3] * 20)
    metrics = measure([run], patients(4, 5), iou=0.5, resamples=50)
    assert metrics["sensitivity"].interval == (share, share)
    assert metrics["fps_per_image"].interval == (3, 3)


def test_no_detections_have_intervals_at_zero() -> None:
    metrics = measure([outcomes([False] * 20, [0] * 20)], patients(4, 5), iou=0.5, resamples=50)
    assert {metric.value for metric in metrics.values()} == {0}
    assert {metric.interval for metric in metrics.values()} == {(0, 0)}


def test_without_lesions_only_false_positives_are_measured() -> None:
    run = outcomes([False] * 20, [1] * 20)
    empty = Outcomes(run.images, run.scores, run.taken, np.zeros(20, dtype=np.int64))
    metrics = measure([empty], patients(4, 5), iou=0.5, resamples=50)
    assert list(metrics) == ["fps_per_image"]
    with pytest.raises(PathoganError, match="there is no truth box"):
        compare([empty], {"a": [empty]}, patients(4, 5), iou=0.5)


def test_resamples_without_a_lesion_are_left_out() -> None:
    """One patient of two has all the lesions: half of the draws of one patient have none."""
    truth = Truth(4, np.array([0, 0]), np.stack([BOX, AWAY]))
    run = match(truth, Detections(np.array([0]), BOX[None], np.array([0.9])))
    metrics = measure([run], np.array(["a", "a", "b", "b"]), iou=0.5, resamples=100)
    assert metrics["sensitivity"].interval == (0.5, 0.5)
    assert metrics["mean_sensitivity"].interval == (0.5, 0.5)


def test_several_seeds_are_averaged_and_resampled() -> None:
    runs = [simulated(seed) for seed in (0, 1, 2)]
    found = measure(runs, patients(), iou=0.25, threshold=0.4, resamples=20)
    for name, metric in found.items():
        assert metric.value == pytest.approx(np.mean([read(r, 0.25, 0.4)[name] for r in runs]))
    assert found["sensitivity"].interval_method == "bootstrap over patients and seeds, 95%"


def test_the_order_of_images_does_not_matter() -> None:
    run, owners = simulated(2), patients()
    order = np.random.default_rng(0).permutation(60)
    options = {"iou": 0.5, "threshold": 0.4, "resamples": 40}
    moved = measure([repeated(run, order)], owners[order], **options)
    assert moved == measure([run], owners, **options)


def test_an_arm_equals_itself() -> None:
    runs = [simulated(0), simulated(0, skill=2)]
    found = compare(runs, {"same": list(runs)}, patients(), iou=0.5, resamples=50)["same"]
    assert tuple(found) == MEASURES
    for difference in found.values():
        assert (difference.value, difference.interval) == (0, (0, 0))
        assert difference.p_value == difference.p_adjusted == 1
        assert (difference.seeds, difference.patients) == (2, 12)


def test_exchanging_the_arms_changes_the_sign() -> None:
    one, two = [simulated(0, skill=0.5)], [simulated(1)]
    options = {"iou": 0.5, "threshold": 0.4, "matched_fps": 0.7, "resamples": 100}
    there = compare(one, {"arm": two}, patients(), **options)["arm"]
    back = compare(two, {"arm": one}, patients(), **options)["arm"]
    for name in MEASURES:
        assert there[name].value == pytest.approx(-back[name].value)
        low, high = back[name].interval
        assert there[name].interval == pytest.approx((-high, -low))


def test_difference_has_the_deviation_of_its_patients() -> None:
    """12 patients of 40 gain all their lesions."""
    runs = [outcomes(np.repeat(np.arange(40) < number, 6), [1] * 240) for number in (18, 30)]
    found = compare(runs[:1], {"arm": runs[1:]}, patients(40, 6), iou=0.5, resamples=6000)["arm"]
    gained = found["sensitivity"]
    assert gained.value == pytest.approx(12 / 40)
    by_patient = np.repeat([1.0, 0.0], [12, 28]).std(ddof=1) / np.sqrt(40)
    low, high = gained.interval
    assert (high - low) / 2 / 1.96 == pytest.approx(by_patient, rel=0.08)
    assert (found["fps_per_image"].value, found["fps_per_image"].interval) == (0, (0, 0))


def test_marking_more_is_no_gain_at_matched_false_positives() -> None:
    """The arm adds, below all the baseline's scores, hits and twice as many false positives.

    At the thesis' threshold it finds more; at the baseline's own false positives it does not.
    """
    found = np.arange(60) % 2 == 0
    base = outcomes(found, [1] * 60)
    more = np.r_[base.scores[:30], np.full(20, 0.1), base.scores[30:], np.full(120, 0.1)]
    wider = found.copy()
    wider[np.flatnonzero(~found)[:20]] = True
    images = np.r_[np.flatnonzero(found), np.flatnonzero(wider & ~found)]
    truth = Truth(60, np.arange(60), np.tile(BOX, (60, 1)))
    table = np.r_[np.tile(BOX, (50, 1)), np.tile(AWAY, (180, 1))]
    owners = np.r_[images, np.arange(60), np.repeat(np.arange(60), 2)]
    arm = match(truth, Detections(owners, table, more))
    found_more = compare([base], {"arm": [arm]}, patients(), iou=0.5, resamples=200)["arm"]
    assert found_more["sensitivity"].value == pytest.approx(20 / 60)
    assert found_more["fps_per_image"].value == pytest.approx(2)
    assert found_more["matched_sensitivity"].value == 0
    assert found_more["matched_sensitivity"].interval == (0, 0)


def test_the_matched_level_is_the_baselines_own_unless_given() -> None:
    base, arm = simulated(0, skill=0.5), simulated(0, skill=2)
    level = operating_point(base, 0.5, 0.4).fps_per_image
    expected = froc(arm, 0.5).at(level).sensitivity - froc(base, 0.5).at(level).sensitivity
    for options in ({}, {"matched_fps": level}):
        found = compare(
            [base], {"a": [arm]}, patients(), iou=0.5, threshold=0.4, resamples=10, **options
        )
        assert found["a"]["matched_sensitivity"].value == pytest.approx(expected)
    other = compare([base], {"a": [arm]}, patients(), iou=0.5, matched_fps=0.0, resamples=10)
    at_none = [froc(run, 0.5).at(0).sensitivity for run in (arm, base)]
    assert other["a"]["matched_sensitivity"].value == pytest.approx(at_none[0] - at_none[1])


def test_p_values_are_adjusted_over_arms_in_each_measure() -> None:
    base = [simulated(0, skill=0.2)]
    arms = {f"arm {k}": [simulated(0, skill=k)] for k in (1, 2, 3)}
    found = compare(base, arms, patients(), iou=0.5, threshold=0.4, resamples=100)
    for name in MEASURES:
        raw = [found[arm][name].p_value for arm in arms]
        assert [found[arm][name].p_adjusted for arm in arms] == holm(raw)


def one_run() -> Outcomes:
    return outcomes([True] * 20, [1] * 20)


BAD = {
    "no runs": (lambda: measure([], patients(4, 5), iou=0.5), "runs: there are no runs"),
    "patients": (
        lambda: measure([one_run()], patients(4, 4), iou=0.5),
        "16 patients for 20 images",
    ),
    "one patient": (lambda: measure([one_run()], np.zeros(20), iou=0.5), "of one patient"),
    "no levels": (
        lambda: measure([one_run()], patients(4, 5), iou=0.5, levels=()),
        "levels: there are no levels",
    ),
    "threshold": (
        lambda: measure([one_run()], patients(4, 5), iou=0.5, threshold=np.nan),
        "threshold: is nan",
    ),
    "iou": (lambda: measure([one_run()], patients(4, 5), iou=0.3), "nothing was matched at 0.3"),
    "seeds": (
        lambda: compare([one_run()], {"a": [one_run()] * 2}, patients(4, 5), iou=0.5),
        "arm a: has 2 runs, the baseline 1",
    ),
    "other images": (
        lambda: compare(
            [one_run()], {"a": [outcomes([True] * 19, [1] * 19)]}, patients(4, 5), iou=0.5
        ),
        "arm a: runs were tested on different images",
    ),
}


@pytest.mark.parametrize(("act", "message"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_compared_is_refused_in_one_line(act, message: str) -> None:
    with pytest.raises(PathoganError, match=message) as caught:
        act()
    assert "\n" not in str(caught.value)
