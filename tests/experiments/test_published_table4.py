"""Thesis Table 4 as data, and what is computed from it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from importlib import resources
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathogan_core.errors import PathoganError
from pathogan_core.experiments.published_table4 import (
    ARMS,
    FAMILY_LABELS,
    IOUS,
    DetectionRow,
    DetectionSplit,
    RoundedShare,
    beating_baseline,
    by_number_of_images,
    headline,
    implied_slices,
    load_detection,
    load_detection_split,
    matching_checks,
    operating_points,
    price,
    rises_throughout,
    sensitivity_follows_fps,
)

PACKAGED = resources.files("pathogan_core.experiments") / "published/table4_detection.csv"
NUMBERS = ("sensitivity_iou50", "fps_per_slice_iou50", "sensitivity_iou25", "fps_per_slice_iou25")


@pytest.fixture(scope="module")
def rows():
    return {row.arm: row for row in load_detection()}


@pytest.fixture(scope="module")
def points():
    return operating_points()


def column(rows, name):
    field = f"{name}_percent" if name.startswith("sensitivity") else name
    return [getattr(row, field) for row in rows.values()]


def test_ten_arms_in_the_printed_order(rows):
    assert list(rows) == list(ARMS)
    assert [row.synthetic_images for row in rows.values()] == [0] + 3 * [4000, 8000, 12000]
    assert {row.real_images for row in rows.values()} == {load_detection_split()["train"].images}
    assert all("Table 4" in row.reference for row in rows.values())
    labels = [row.label for row in rows.values()]
    assert labels[:2] == ["real only", "4k CPGGAN"]
    assert labels[-1] == "12k image-to-image"
    assert len(set(labels)) == 10


def test_column_sums(rows):
    """Of the thesis' text, added up apart from the CSV: a mistyped digit changes one of them."""
    sums = [round(sum(column(rows, name)), 2) for name in NUMBERS]
    assert sums == [721, 71.47, 876, 66.46]


def test_patients_images_and_boxes(rows):
    split = load_detection_split()
    assert list(split) == ["train", "validation", "test", "normal"]
    cases = [split[part] for part in ("train", "validation", "test")]
    assert sum(part.patients for part in cases) == 180
    assert [round(part.boxes_per_image, 2) for part in cases] == [2.12, 1.83, 3.27]
    assert [round(part.images_per_patient) for part in split.values()] == [22, 19, 26, 88]


def test_detections_per_slice_and_precision_at_the_lower_threshold(rows):
    """From the printed numbers alone, box by box in whole test-set counts."""
    expected = {
        "real": (6.3, 43),
        "cpggan-4k": (10.2, 29),
        "cpggan-8k": (8.7, 33),
        "cpggan-12k": (14.3, 21),
        "cpggan-normal-4k": (9.4, 30),
        "cpggan-normal-8k": (10.5, 28),
        "cpggan-normal-12k": (11.85, 25),
        "image-to-image-4k": (8.55, 33),
        "image-to-image-8k": (5.7, 48),
        "image-to-image-12k": (9.6, 30),
    }
    points = operating_points(list(rows.values()))
    for arm, (detections, precision) in expected.items():
        point = points[arm, 0.25]
        assert point.detections_per_slice == pytest.approx(detections, abs=0.06)
        assert round(100 * point.precision) == precision
        found, wrong = 3094 * point.sensitivity.value, 947 * point.fps_per_slice
        assert point.precision == pytest.approx(found / (found + wrong))
        assert point.found_per_slice * 947 == pytest.approx(found)


def test_precision_is_known_to_half_a_point(points):
    for point in points.values():
        low, high = point.precision_range
        assert low < point.precision < high < low + 0.005


def test_both_thresholds_have_the_same_detections(points):
    checks = matching_checks()
    assert len(checks) == 10
    assert all(check.holds for check in checks)
    by_arm = {check.row.arm: check for check in checks}
    assert by_arm["real"].fewer_fps == pytest.approx(0.52)
    assert by_arm["real"].more_found == pytest.approx(0.16 * 3094 / 947)
    assert by_arm["cpggan-4k"].fewer_fps == pytest.approx(0.46)
    assert by_arm["cpggan-4k"].more_found == pytest.approx(0.457, abs=5e-4)
    # The agreement is far closer than rounding asks for: in every arm to 0.02 boxes.
    assert max(abs(check.fewer_fps - check.more_found) for check in checks) < 0.021
    for (arm, _), point in points.items():
        other = points[arm, 0.5]
        assert point.detections_per_slice == pytest.approx(other.detections_per_slice, abs=0.0214)


def test_another_rule_would_part_the_thresholds():
    """With duplicates forgiven, false positives fall by more than boxes are found."""
    forgiving = [replace(row, fps_per_slice_iou25=row.fps_per_slice_iou25 - 0.1)
                 for row in load_detection()]  # fmt: skip
    assert not any(check.holds for check in matching_checks(forgiving))


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("sensitivity_iou50_percent", 2),
        ("sensitivity_iou50_percent", -2),
        ("sensitivity_iou25_percent", 2),
        ("sensitivity_iou25_percent", -2),
        ("fps_per_slice_iou50", 0.1),
        ("fps_per_slice_iou25", -0.1),
        ("fps_per_slice_iou25", 0.1),
    ],
)
def test_a_typing_mistake_breaks_the_rule(rows, arm, field, change):
    wrong = replace(rows[arm], **{field: getattr(rows[arm], field) + change})
    assert not matching_checks([wrong])[0].holds


def test_false_positives_are_averaged_over_slices_with_a_tumour():
    low, high = implied_slices()
    split = load_detection_split()
    assert low < split["test"].images < high
    assert (round(low), round(high)) == (902, 990)
    # Whole heads, with as many slices as the normal subjects give, are out of the question.
    heads = split["test"].patients * split["normal"].images_per_patient
    assert high < heads / 3


def test_implied_slices_of_a_made_up_table():
    """500 boxes, of which 100 more are found at 0.25: 100 fewer false positives over 400 slices."""
    test = DetectionSplit("test", 10, 400, 500, "made up")
    row = DetectionRow("real", 1, 0, 40, 2.25, 60, 2.0, "made up")
    low, high = implied_slices([row], test)
    assert low < 400 < high
    assert low == pytest.approx(500 * 0.19 / 0.26)
    assert high == pytest.approx(500 * 0.21 / 0.24)
    flat = replace(row, fps_per_slice_iou50=2.0)
    assert implied_slices([flat], test)[1] == float("inf")
    with pytest.raises(PathoganError, match="no number of slices"):
        implied_slices([row, replace(row, arm="cpggan-4k", synthetic_images=4000,
                                     fps_per_slice_iou50=2.1)], test)  # fmt: skip


def test_one_arm_alone_beats_the_baseline_on_both_axes(points):
    for iou in IOUS:
        assert [p.row.arm for p in beating_baseline(points, iou)] == ["image-to-image-8k"]
    # Its sensitivity does not: one point, with intervals that hold each other's value.
    best, real = points["image-to-image-8k", 0.25].sensitivity, points["real", 0.25].sensitivity
    assert best.interval[0] < real.value < best.value < real.interval[1]


def test_what_the_headline_costs(points):
    cost = headline(points)
    assert (cost.baseline.sensitivity.percent, cost.point.sensitivity.percent) == (83, 91)
    assert cost.fps_ratio == pytest.approx(7.18 / 3.59) == 2
    assert cost.more_found == pytest.approx(0.08 * 3094)
    assert cost.more_fps == pytest.approx(3.59 * 947)
    assert round(cost.fps_per_found, 1) == 13.7
    strict = headline(points, 0.5)
    assert strict.point.sensitivity.percent - strict.baseline.sensitivity.percent == 10
    assert round(strict.fps_ratio, 2) == 1.86
    assert price(cost.point, cost.point).fps_per_found == float("inf")


def test_the_headline_is_the_largest_gain_of_the_table(points):
    for iou in IOUS:
        most = max(point.sensitivity.percent for (_, at), point in points.items() if at == iou)
        assert headline(points, iou).point.sensitivity.percent == most


def test_more_images_are_not_always_better(points):
    series = {
        family: [p.sensitivity.percent for p in by_number_of_images(points, family, 0.25)]
        for family in FAMILY_LABELS
    }
    assert series == {
        "real": [83],
        "cpggan": [91, 87, 91],
        "cpggan-normal": [86, 89, 89],
        "image-to-image": [87, 84, 89],
    }
    for iou in IOUS:
        rising = {f for f in series if rises_throughout(by_number_of_images(points, f, iou))}
        assert rising == {"real", "cpggan-normal"}
    with pytest.raises(PathoganError, match="'gan' is unknown"):
        by_number_of_images(points, "gan", 0.25)


def test_dips_are_larger_than_an_interval_of_independent_boxes(points):
    """Were boxes independent, the dip at 8,000 would be no chance of the test set."""
    first, second, third = (
        p.sensitivity.interval for p in by_number_of_images(points, "cpggan", 0.25)
    )
    assert second[1] < first[0]
    assert second[1] < third[0]


def spearman(xs, ys):
    """Pearson's correlation of mid-ranks, by its definition."""

    def ranks(values):
        return [
            sum(other < value for other in values) + (values.count(value) + 1) / 2
            for value in values
        ]

    a, b = ranks(xs), ranks(ys)
    middle = (len(xs) + 1) / 2
    products = [[(p - middle) * (q - middle) for p, q in zip(u, v, strict=True)]
                for u, v in ((a, b), (a, a), (b, b))]  # fmt: skip
    cross, first, second = map(sum, products)
    return cross / (first * second) ** 0.5


def test_who_reports_more_finds_more(rows, points):
    for iou, expected in ((0.25, 0.87), (0.5, 0.83)):
        percents, fps = zip(*(row.printed(iou) for row in rows.values()), strict=True)
        rho = sensitivity_follows_fps(points, iou)
        assert rho == pytest.approx(spearman(list(fps), list(percents)))
        assert round(rho, 2) == expected


def binomial_tail(n, least, p):
    """P(at least `least` of n), term by term."""
    return sum(comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(least, n + 1))


@given(st.integers(0, 100), st.integers(1, 60))
def test_counts_are_those_that_print_so(percent, n):
    low, high = RoundedShare(percent, n).counts
    prints = [k for k in range(n + 1) if abs(Fraction(100 * k, n) - percent) <= Fraction(1, 2)]
    assert list(range(low, high + 1)) == prints


def test_interval_is_exact_for_the_outermost_counts():
    share = RoundedShare(80, 50)
    assert share.counts == (40, 40)
    low, high = share.interval
    assert binomial_tail(50, 40, low) == pytest.approx(0.025)
    assert 1 - binomial_tail(50, 41, high) == pytest.approx(0.025)
    wide = RoundedShare(80, 500)
    assert wide.counts == (398, 402)
    assert binomial_tail(500, 398, wide.interval[0]) == pytest.approx(0.025)
    assert 1 - binomial_tail(500, 403, wide.interval[1]) == pytest.approx(0.025)


def test_intervals_are_two_points_to_either_side_at_most(points):
    for point in points.values():
        low, high = point.sensitivity.interval
        assert low < point.sensitivity.value < high
        assert 0.02 < high - low < 0.045
    low, high = points["real", 0.25].sensitivity.interval
    assert (round(100 * low, 1), round(100 * high, 1)) == (81.1, 84.8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arm": "cpggan"}, "is no arm of Table 4"),
        ({"synthetic_images": 4000}, "with 4,000 images is no arm"),
        ({"sensitivity_iou25_percent": 60}, "sensitivities do not rise"),
        ({"sensitivity_iou25_percent": 101}, "sensitivities do not rise"),
        ({"fps_per_slice_iou25": 4.2}, "false positives do not fall"),
        ({"fps_per_slice_iou50": float("nan")}, "false positives do not fall"),
    ],
)
def test_impossible_rows_are_refused(rows, change, message):
    with pytest.raises(PathoganError, match=message):
        replace(rows["real"], **change)


def test_a_sensitivity_that_is_no_whole_percentage_is_refused(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(PACKAGED.read_text().replace(",67,", ",67.5,", 1))
    with pytest.raises(PathoganError, match=r"sensitivity_iou50_percent is '67.5'"):
        load_detection(path)
