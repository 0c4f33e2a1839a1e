"""Thesis Table 2 as data, and what is computed from it."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.turing import holm
from pathogan_core.experiments.published_table2 import (
    ARM_LABELS,
    Share,
    arms_printing,
    claims,
    compare,
    count_arms,
    headline,
    identical_arms,
    load_arms,
    load_split,
    paired_p_range,
    swap_patients,
    whole_counts,
)

PACKAGED = resources.files("pathogan_core.experiments") / "published/table2_classification.csv"


@pytest.fixture(scope="module")
def arms():
    return count_arms()


def split(name):
    return next(row for row in load_split() if row.split == name)


def test_the_printed_test_set_has_more_images_than_its_patients_have_slices():
    possible = {row.split: row.possible for row in load_split()}
    assert possible == {"train": True, "validation": True, "test": False}
    test = split("test")
    assert (test.images, test.patients * 101) == (2245, 2222)


def test_with_two_numbers_of_patients_swapped_every_part_is_possible():
    swapped = swap_patients(load_split())
    assert all(row.possible for row in swapped)
    assert [row.patients for row in swapped] == [154, 22, 44]
    assert sum(row.patients for row in swapped) == sum(row.patients for row in load_split()) == 220
    assert [row.images for row in swapped] == [row.images for row in load_split()]
    assert [round(row.images_per_patient, 1) for row in swapped] == [54.7, 61.7, 51.0]


def test_training_images_are_those_of_the_split():
    assert {row.real_images for row in load_arms()} == {split("train").images}


def test_table_has_ten_arms_trained_in_two_ways():
    rows = load_arms()
    assert [(row.arm, row.training) for row in rows] == [
        (arm, training) for training in ("pretrained", "scratch") for arm in ARM_LABELS
    ]
    assert [row.row for row in rows] == 2 * list(range(1, 11))
    for row in rows:
        classic, *_ = row.arm.split("-")
        assert (row.classic_images > 0) == (classic == "classic")
        gans = any(gan in row.arm for gan in ("pggan", "munit", "simgan"))
        assert row.synthetic_images == (200_000 if gans else 0)


def test_an_epoch_with_synthetic_images_has_25_times_the_steps():
    steps = {row.arm: row.steps_per_epoch for row in load_arms()}
    assert (steps["real"], steps["pggan"], steps["classic-munit"]) == (88, 2172, 4255)


def test_printed_percentages_are_whole_counts_of_the_printed_test_set(arms):
    without = {name for name, arm in arms.items() if arm.fits == 0}
    assert without == {("munit", "scratch"), ("classic-simgan", "scratch")}
    for name, arm in arms.items():
        row = arm.row
        assert round(100 * arm.sensitivity.value, 1) == row.sensitivity_percent
        assert round(100 * arm.specificity.value, 1) == row.specificity_percent
        slack = 0.05 if name not in without else 0.11
        assert abs(100 * arm.accuracy.value - row.accuracy_percent) <= slack


def test_the_validation_images_cannot_be_those_of_the_table():
    fits = [bool(whole_counts(row, split("validation"))) for row in load_arms()]
    assert sum(fits) == 5


def test_whole_counts_are_those_that_print_alike():
    row = load_arms()[0]
    test = split("test")
    found = set(whole_counts(row, test))
    near = [(k, m) for k in range(1115, 1126) for m in range(966, 977)]
    for k, m in near:
        prints = (f"{100 * (k + m) / 2245:.1f}", f"{100 * k / 1232:.1f}", f"{100 * m / 1013:.1f}")
        assert ((k, m) in found) == (prints == ("93.1", "90.9", "95.9"))


def test_counts_of_the_headline(arms):
    assert arms["classic-200k", "pretrained"].sensitivity == Share(1154, 1232)
    assert arms["classic-munit", "scratch"].sensitivity == Share(1201, 1232)
    assert f"{100 * 1154 / 1232:.2f} {100 * 1201 / 1232:.2f}" == "93.67 97.48"


def test_the_headline_takes_its_two_numbers_from_two_ways_of_training(arms):
    from_, to = arms_printing(arms, 93.67), arms_printing(arms, 97.48)
    assert [(arm.row.arm, arm.row.training) for arm in from_] == [("classic-200k", "pretrained")]
    assert [(arm.row.arm, arm.row.training) for arm in to] == [("classic-munit", "scratch")]
    mixed, *alike = headline(arms)
    assert mixed == (to[0], from_[0])
    assert all(arm.row.training == control.row.training for arm, control in alike)


def test_the_headline_like_for_like(arms):
    mixed, *alike = compare(headline(arms))
    points = [round(100 * c.difference, 1) for c in (mixed, *alike)]
    assert points == [3.8, 1.7, 3.5, 7.5, 6.6]
    assert [c.beyond_noise for c in (mixed, *alike)] == [True, False, True, True, True]
    pretrained = alike[0]
    assert pretrained.p == pytest.approx(0.076, abs=5e-4)
    assert pretrained.p_paired == pytest.approx((2 * 2**-21, 0.0848), rel=1e-3)
    scratch = compare(headline(arms)[3:4], "specificity")[0]
    assert (scratch.difference, scratch.p) == (0, 1)


def test_one_pair_of_arms_prints_the_same_three_numbers(arms):
    pairs = [
        (a.row.arm, b.row.arm, a.row.training, b.row.training) for a, b in identical_arms(arms)
    ]
    assert pairs == [("classic-400k", "pggan-undiscarded", "pretrained", "pretrained")]


def test_intervals_hold_the_printed_value_and_are_two_to_five_points_wide(arms):
    for arm in arms.values():
        for share in (arm.accuracy, arm.sensitivity, arm.specificity):
            low, high = share.interval
            assert low < share.value < high
            assert 0.01 < high - low < 0.06
    low, high = arms["classic-200k", "pretrained"].sensitivity.interval
    assert (round(100 * low, 1), round(100 * high, 1)) == (92.2, 95.0)


def test_twenty_comparisons_are_within_a_way_of_training_and_all_different(arms):
    pairs = claims(arms)
    assert len({(a.row.arm, b.row.arm, a.row.training) for a, b in pairs}) == 20
    assert all(a.row.training == b.row.training and a is not b for a, b in pairs)


@pytest.mark.parametrize(
    ("classic", "raw", "corrected", "pretrained"),
    [("classic-400k", 9, 7, 2), ("classic-200k", 6, 5, 0)],
)
def test_sensitivities_that_differ_beyond_noise(arms, classic, raw, corrected, pretrained):
    comparisons = compare(claims(arms, classic))
    assert sum(c.p < 0.05 for c in comparisons) == raw
    beyond = [c for c in comparisons if c.beyond_noise]
    assert len(beyond) == corrected
    assert sum(c.arm.row.training == "pretrained" for c in beyond) == pretrained
    harmed = {c.arm.row.arm for c in beyond if c.difference < 0}
    assert harmed == {"pggan-undiscarded", "simgan"}


def test_a_gan_alone_helps_a_pretrained_network_by_less_than_the_noise(arms):
    alone = {"pggan", "munit", "simgan"}
    for measure in ("accuracy", "sensitivity"):
        comparisons = [
            c for c in compare(claims(arms), measure)
            if c.arm.row.arm in alone and c.arm.row.training == "pretrained"
        ]  # fmt: skip
        assert len(comparisons) == 3
        assert all(c.difference > 0 and c.p > 0.05 for c in comparisons)


def test_holm_only_raises(arms):
    comparisons = compare(claims(arms))
    assert all(c.p_holm >= c.p for c in comparisons)
    least = min(comparisons, key=lambda c: c.p)
    assert least.p_holm == pytest.approx(20 * least.p)


@pytest.mark.parametrize("measure", ["accuracy", "sensitivity", "specificity"])
def test_no_pairing_makes_the_unpaired_p_value_more_than_about_twice_as_large(arms, measure):
    for c in compare(claims(arms), measure):
        least, greatest = c.p_paired
        assert least <= c.p <= greatest
        assert greatest < max(2.2 * c.p, 1e-3)


def test_what_is_beyond_noise_is_so_however_the_mistakes_pair_up(arms):
    for classic in ("classic-400k", "classic-200k"):
        comparisons = compare(claims(arms, classic))
        worst = holm([c.p_paired[1] for c in comparisons])
        assert [p < 0.05 for p in worst] == [c.beyond_noise for c in comparisons]


def test_unknown_measure_is_refused(arms):
    with pytest.raises(PathoganError, match="auc"):
        compare(claims(arms), "auc")


def mcnemar(first_only, second_only):
    """Two-sided exact p value by adding up a fair coin's probabilities in whole numbers."""
    n = first_only + second_only
    tail = sum(comb(n, k) for k in range(min(first_only, second_only) + 1))
    return min(1.0, 2 * tail / 2**n)


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12), st.integers(0, 12))
def test_every_table_of_pairs_lies_in_the_range(both, first_only, second_only, neither):
    n = both + first_only + second_only + neither
    if n == 0:
        return
    least, greatest = paired_p_range(Share(both + first_only, n), Share(both + second_only, n))
    assert least - 1e-12 <= mcnemar(first_only, second_only) <= greatest + 1e-12


def test_the_range_is_reached_by_nested_and_by_disjoint_mistakes():
    # 78 and 57 mistakes in 1232: all 57 among the 78, or none.
    least, greatest = paired_p_range(Share(1154, 1232), Share(1175, 1232))
    assert least == pytest.approx(mcnemar(21, 0))
    assert greatest == pytest.approx(mcnemar(78, 57))


def test_pairs_need_the_same_images():
    with pytest.raises(ValueError, match="same"):
        paired_p_range(Share(1, 2), Share(1, 3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arm": "gan"}, "no arm of Table 2"),
        ({"training": "frozen"}, "no arm of Table 2"),
        ({"sensitivity_percent": 100.5}, "sensitivity is 100.5%"),
        ({"accuracy_percent": float("nan")}, "accuracy is nan%"),
    ],
)
def test_impossible_arms_are_refused(change, message):
    with pytest.raises(PathoganError, match=message):
        replace(load_arms()[0], **change)


def test_an_arm_given_twice_is_refused(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(PACKAGED.read_text().replace("classic-200k,scratch", "real,scratch", 1))
    with pytest.raises(PathoganError, match="real scratch is given twice"):
        load_arms(path)
