"""Classifier measures against scikit-learn, intervals and comparisons against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, norm
from sklearn.metrics import accuracy_score, recall_score, roc_auc_score

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.classification import (
    MEASURES,
    HeldOut,
    compare,
    measure,
    measure_exactly,
)
from pathogan_core.evaluation.turing import holm


def held_out(patients: int = 12, images: int = 10) -> HeldOut:
    """Every patient has as many images of one class as of the other."""
    owners = np.repeat([f"p{i}" for i in range(patients)], images)
    return HeldOut(np.tile(np.arange(images) % 2, patients), owners)


def scored(truth: HeldOut, seed: int, *, runs: int = 1, skill: float = 1.0) -> np.ndarray:
    """Probabilities ``[runs, N]`` with ties, better than chance by `skill`."""
    rng = np.random.default_rng(seed)
    logits = skill * (2 * truth.labels - 1) + rng.normal(0, 1, (runs, len(truth.labels)))
    return (1 / (1 + np.exp(-logits))).round(2)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_values_are_scikit_learns(seed: int) -> None:
    truth = held_out(5, 8)
    scores = scored(truth, seed, skill=0.5)[0]
    called = scores >= 0.5
    expected = {
        "accuracy": accuracy_score(truth.labels, called),
        "sensitivity": recall_score(truth.labels, called),
        "specificity": recall_score(truth.labels, called, pos_label=0),
        "auc": roc_auc_score(truth.labels, scores),
    }
    for found in (measure(truth, scores, resamples=20), measure_exactly(truth, scores)):
        assert {name: metric.value for name, metric in found.items()} == pytest.approx(expected)
        assert [found[name].n for name in MEASURES] == [40, 20, 20, 40]


def test_exact_intervals_are_clopper_and_pearsons() -> None:
    """9 of 10 tumour images found, 6 of 10 others left alone: quantiles of beta distributions."""
    truth = held_out(2, 10)
    scores = np.where(truth.labels == 1, 0.8, 0.1)
    scores[np.flatnonzero(truth.labels == 1)[:1]] = 0.2
    scores[np.flatnonzero(truth.labels == 0)[:4]] = 0.5  # on the threshold: called tumour
    found = measure_exactly(truth, scores)
    for name, hits, n in (("accuracy", 15, 20), ("sensitivity", 9, 10), ("specificity", 6, 10)):
        low, high = beta.ppf(0.025, hits, n - hits + 1), beta.ppf(0.975, hits + 1, n - hits)
        assert found[name].interval == pytest.approx((low, high))
    assert found["auc"].interval is None


def test_exact_interval_of_a_published_row() -> None:
    """Thesis Table 2, row (2): 1,154 of 1,232 tumour images; facts the record can be held to."""
    truth = HeldOut(np.r_[np.ones(1232, int), np.zeros(2, int)], np.r_[np.zeros(1233), 1])
    scores = np.r_[np.ones(1154), np.zeros(80)]
    assert measure_exactly(truth, scores)["sensitivity"].value == pytest.approx(0.9367, abs=5e-5)


def all_or_nothing(patients: int, images: int, right: int) -> tuple[HeldOut, np.ndarray]:
    """A classifier that is right on all images of some patients and wrong on all of the others."""
    truth = held_out(patients, images)
    good = np.isin(truth.patients, [f"p{i}" for i in range(right)])
    return truth, np.where(good, truth.labels, 1 - truth.labels).astype(float)


@pytest.mark.parametrize("images", [2, 40])
def test_interval_does_not_shrink_with_more_images_of_the_same_patients(images: int) -> None:
    """Whole patients are drawn: the deviation is that of 30 patients, not of 30 x `images`.

    Resampling images would make the interval 1/sqrt(images) of that.
    """
    truth, scores = all_or_nothing(30, images, right=18)
    low, high = measure(truth, scores, resamples=6000)["accuracy"].interval or (0, 0)
    by_patient = np.repeat([1.0, 0.0], [18, 12]).std(ddof=1) / np.sqrt(30)
    assert (high - low) / 2 / 1.96 == pytest.approx(by_patient, rel=0.08)


def test_difference_has_the_deviation_of_its_patients() -> None:
    truth, better = all_or_nothing(40, 6, right=30)
    _, worse = all_or_nothing(40, 6, right=18)
    found = compare(truth, worse[None], {"arm": better[None]}, resamples=6000)["arm"]["accuracy"]
    assert found.value == pytest.approx(12 / 40)
    by_patient = np.repeat([1.0, 0.0], [12, 28]).std(ddof=1) / np.sqrt(40)
    low, high = found.interval
    assert (high - low) / 2 / 1.96 == pytest.approx(by_patient, rel=0.08)


def test_pairing_removes_what_patients_have_in_common() -> None:
    """Two arms that differ on one image of 400, of patients who differ in everything."""
    truth, scores = all_or_nothing(40, 10, right=20)
    other = scores.copy()
    other[0] = 1 - other[0]
    found = compare(truth, scores[None], {"arm": other[None]})["arm"]["accuracy"]
    alone = measure(truth, scores)["accuracy"].interval or (0, 0)
    assert found.interval[1] - found.interval[0] < 0.1 * (alone[1] - alone[0])


def test_seeds_are_resampled_with_the_deviation_of_their_mean() -> None:
    """Patients alike, three runs unlike: two of the differences 0, -0.2, -0.4 are drawn.

    Their mean has the variance s^2 / 3; that of three drawn ones would have 2/3 of it.
    """
    truth = held_out(20, 10)
    right = truth.labels.astype(float)
    runs = np.stack([right, right, right])
    for run, wrong in zip(runs, (0, 2, 4), strict=True):
        for patient in np.unique(truth.patients):
            chosen = np.flatnonzero(truth.patients == patient)[:wrong]
            run[chosen] = 1 - run[chosen]
    found = compare(truth, np.stack([right] * 3), {"arm": runs}, resamples=4000)["arm"]["accuracy"]
    assert found.value == pytest.approx(-0.2)
    assert found.interval == pytest.approx((-0.4, 0.0))
    assert found.p_value == pytest.approx(2 / 9, abs=0.03)  # 0 is drawn twice: 1/3 of 1/3
    assert (found.seeds, found.patients) == (3, 20)


def test_an_arm_equals_itself() -> None:
    truth = held_out()
    runs = scored(truth, 0, runs=2)
    for difference in compare(truth, runs, {"same": runs.copy()}, resamples=50)["same"].values():
        assert difference.value == 0
        assert difference.interval == (0, 0)
        assert difference.p_value == difference.p_adjusted == 1


def test_exchanging_the_arms_changes_the_sign() -> None:
    truth = held_out()
    one, two = scored(truth, 0, runs=3, skill=0.5), scored(truth, 1, runs=3)
    there = compare(truth, one, {"arm": two}, resamples=200)["arm"]
    back = compare(truth, two, {"arm": one}, resamples=200)["arm"]
    for name in MEASURES:
        assert there[name].value == pytest.approx(-back[name].value)
        low, high = back[name].interval
        assert there[name].interval == pytest.approx((-high, -low))
        assert there[name].p_value == pytest.approx(back[name].p_value)


def test_the_value_is_the_difference_of_the_means_over_seeds() -> None:
    truth = held_out()
    one, two = scored(truth, 0, runs=3, skill=0.5), scored(truth, 1, runs=3)
    found = compare(truth, one, {"arm": two}, resamples=10)["arm"]
    for name in MEASURES:
        means = [
            np.mean([measure_exactly(truth, run)[name].value for run in runs])
            for runs in (one, two)
        ]
        assert found[name].value == pytest.approx(means[1] - means[0])


def test_order_and_names_do_not_matter() -> None:
    truth = held_out(9, 8)
    scores = scored(truth, 0)[0]
    order = np.random.default_rng(0).permutation(len(scores))
    numbers = np.array([int(name[1:]) for name in truth.patients])  # sorted as p0 to p8 are
    shuffled = HeldOut(truth.labels[order], numbers[order])
    one, two = measure(truth, scores), measure(shuffled, scores[order])
    for name in MEASURES:
        assert one[name].value == pytest.approx(two[name].value)
        assert one[name].interval == pytest.approx(two[name].interval)


def test_p_values_are_adjusted_over_arms_in_each_measure() -> None:
    truth = held_out(15, 10)
    base = scored(truth, 0, runs=2, skill=0.6)
    arms = {f"arm {k}": scored(truth, k, runs=2, skill=0.5 + 0.3 * k) for k in (1, 2, 3)}
    found = compare(truth, base, arms, resamples=300)
    for name in MEASURES:
        raw = [found[arm][name].p_value for arm in arms]
        assert [found[arm][name].p_adjusted for arm in arms] == holm(raw)
    alone = compare(truth, base, {"arm 2": arms["arm 2"]}, resamples=300)["arm 2"]
    assert alone["auc"].p_value == found["arm 2"]["auc"].p_value  # the same resamples for all


def simulated(rng: np.random.Generator, means: tuple[float, float]) -> tuple[HeldOut, list]:
    """Margins of 30 patients' images in 3 runs of two arms: sums of independent normals."""
    truth = held_out(30, 8)
    owner = np.repeat(np.arange(30), 8)
    sign = 2 * truth.labels - 1
    shared = rng.normal(0, 0.7, (30, 2))[owner, truth.labels] + rng.normal(0, 0.7, len(owner))
    arms = []
    for mean in means:
        own = rng.normal(0, 0.35, (30, 2))[owner, truth.labels]
        runs = rng.normal(0, 0.1, (3, 1)) + rng.normal(0, 0.5, (3, len(owner)))
        arms.append(1 / (1 + np.exp(-sign * (mean + shared + own + runs))))
    return truth, arms


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """A margin above 0 is a right answer, so the true rates are normal probabilities.

    Treating each image as a patient of its own holds it far less often.
    """
    deviation = np.sqrt(0.7**2 + 0.7**2 + 0.35**2 + 0.1**2 + 0.5**2)
    expected = norm.cdf(1.3 / deviation) - norm.cdf(1.0 / deviation)
    rng = np.random.default_rng(1)
    held = {"paired": 0, "single": 0, "single, by image": 0}
    trials = 150
    for trial in range(trials):
        truth, (base, arm) = simulated(rng, (1.0, 1.3))
        options = {"resamples": 300, "seed": trial}
        low, high = compare(truth, base, {"arm": arm}, **options)["arm"]["sensitivity"].interval
        held["paired"] += low <= expected <= high
        by_image = HeldOut(truth.labels, np.arange(len(truth.labels)))
        for name, cases in (("single", truth), ("single, by image", by_image)):
            low, high = measure(cases, base[0], **options)["sensitivity"].interval or (0, 0)
            held[name] += low <= norm.cdf(1.0 / deviation) <= high
    # Binomial deviation of 150 trials at 95%: 1.8 points.
    assert 0.89 <= held["paired"] / trials <= 0.995
    assert 0.89 <= held["single"] / trials <= 0.995
    assert held["single, by image"] < held["single"] - 0.05 * trials


@pytest.mark.parametrize(
    ("labels", "patients", "line"),
    [
        ([0, 1, 1], ["a", "b"], "3 labels and 2 patients"),
        ([1, 1], ["a", "b"], "not of both classes"),
        ([0, 2], ["a", "b"], "not of both classes"),
        ([0, 1], ["a", "a"], "all images are of one patient"),
    ],
)
def test_impossible_test_sets_are_one_line(labels: list, patients: list, line: str) -> None:
    with pytest.raises(PathoganError, match=line):
        HeldOut(np.array(labels), np.array(patients))


def test_impossible_scores_are_one_line() -> None:
    truth = held_out(2, 4)
    good = scored(truth, 0, runs=2)
    with pytest.raises(PathoganError, match="scores: 1x7 scores for 8 images"):
        measure(truth, good[0, :7])
    for bad in (np.nan, 1.2, -0.1):
        with pytest.raises(PathoganError, match="a score is not between 0 and 1"):
            measure(truth, np.r_[good[0, :7], bad])
    with pytest.raises(PathoganError, match="arm b: has 1 runs, the baseline 2"):
        compare(truth, good, {"a": good, "b": good[:1]})


def test_resamples_without_a_class_are_left_out() -> None:
    """One patient of two has all the tumours: half of the draws of one patient have none."""
    truth = HeldOut(np.array([1, 1, 0, 0, 0]), np.array(["a", "a", "a", "b", "b"]))
    found = measure(truth, np.array([0.9, 0.2, 0.1, 0.1, 0.7]), resamples=100)
    assert found["sensitivity"].interval == (0.5, 0.5)
    assert found["accuracy"].interval == pytest.approx((0.5, 2 / 3))
