"""Thesis Table 5 as data, and the search for the numbers of nodules behind it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction
from importlib import resources

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathogan_core.errors import PathoganError
from pathogan_core.experiments.published_table5 import (
    ALL,
    ARMS,
    ATTENUATIONS,
    BASELINE,
    COLUMN_LABELS,
    HEADLINE,
    SIZES,
    below_baseline,
    class_sizes,
    decoded,
    gains,
    hits_that_print,
    load_nodule_split,
    load_nodules,
)

PACKAGED = resources.files("pathogan_core.experiments") / "published/table5_nodules.csv"


@pytest.fixture(scope="module")
def rows():
    return {row.arm: row for row in load_nodules()}


@pytest.fixture(scope="module")
def arms():
    return decoded()


def test_seven_arms_in_the_printed_order(rows):
    assert list(rows) == list(ARMS)
    assert [row.synthetic_scans for row in rows.values()] == [0, *2 * [632, 1264, 1896]]
    assert [row.l1_weight for row in rows.values()] == 4 * [0] + 3 * [100]
    assert {row.real_scans for row in rows.values()} == {load_nodule_split()["train"].scans}
    assert all("Table 5" in row.reference for row in rows.values())
    labels = [row.label for row in rows.values()]
    assert labels[:2] == ["real only", "1× MCGAN"]
    assert labels[-1] == "3× MCGAN with ℓ1"
    assert len(set(labels)) == 7


def test_column_sums(rows):
    """Of the thesis' text, added up apart from the CSV: a mistyped digit changes one of them."""
    sums = [round(sum(row.percent(c) for row in rows.values()), 1) for c in COLUMN_LABELS]
    assert sums == [360.3, 298.2, 449.0, 420.4, 449.6, 338.5, 178.2]


def test_scans_and_nodules(rows):
    split = load_nodule_split()
    assert list(split) == ["train", "validation", "test"]
    assert sum(part.scans for part in split.values()) == 745
    assert [round(part.nodules_per_scan, 2) for part in split.values()] == [5.9, 3.86, 3.49]


@given(st.integers(0, 1000), st.integers(1, 60))
def test_hits_are_those_that_print_so(tenths, nodules):
    low, high = hits_that_print(tenths / 10, nodules)
    printing = [
        k
        for k in range(7 * nodules + 1)
        if abs(Fraction(1000 * k, 7 * nodules) - tenths) <= Fraction(1, 2)
    ]
    assert list(range(low, high + 1)) == printing


def test_one_set_of_class_sizes_fits_nearly_all_rows_and_no_other_a_third_of_them(rows):
    best, second, *_ = class_sizes(ATTENUATIONS)
    assert (best.nodules, best.arms) == ((166, 20, 79), tuple(ARMS))
    assert len(second.arms) == 1
    best, second, third, *_ = class_sizes(SIZES)
    assert best.nodules == (151, 95, 19)
    assert set(ARMS) - set(best.arms) == {BASELINE, "mcgan-l1-1x"}
    assert (len(second.arms), len(third.arms)) == (2, 1)


def sizes_by_loops(rows, columns, nodules):
    """The same search in exact fractions: every sum of every choice of hits, one by one."""

    def printing(percent, n):
        tenths = Fraction(str(percent)) * 10
        return [k for k in range(7 * n + 1) if abs(Fraction(1000 * k, 7 * n) - tenths) <= 0.5]

    found = {}
    for sizes in itertools.product(range(1, nodules), repeat=3):
        if sum(sizes) != nodules:
            continue
        fitting = []
        for row in rows:
            choices = (printing(row.percent(c), n) for c, n in zip(columns, sizes, strict=True))
            totals = printing(row.percent(ALL), nodules)
            if any(sum(hits) in totals for hits in itertools.product(*choices)):
                fitting.append(row.arm)
        if fitting:
            found[sizes] = tuple(fitting)
    return found


@given(st.data())
@settings(max_examples=15, deadline=None)
def test_the_search_is_exhaustive(data):
    """Rows made from true hits among few nodules, beside rows of no meaning."""
    sizes = data.draw(st.tuples(*3 * [st.integers(1, 5)]))
    nodules = sum(sizes)
    template = load_nodules()[0]

    def made(arm):
        hits = [data.draw(st.integers(0, 7 * n)) for n in sizes]
        shares = [round(100 * k / (7 * n), 1) for k, n in zip(hits, sizes, strict=True)]
        total = round(100 * sum(hits) / (7 * nodules), 1)
        row = replace(template, cpm_percent=total)
        return replace(row, **{f"{c}_percent": p for c, p in zip(SIZES, shares, strict=True)})

    rows = [made(arm) for arm in range(3)]
    found = class_sizes(SIZES, rows, nodules)
    assert {one.nodules: one.arms for one in found} == sizes_by_loops(rows, SIZES, nodules)
    assert [len(one.arms) for one in found] == sorted((len(o.arms) for o in found), reverse=True)
    true = {one.nodules: one.arms for one in found}[sizes]
    assert len(true) == 3


def test_raw_hits(arms):
    """Out of 1,855; 1,057, 665, 133; 1,162, 140, 553."""
    expected = {
        "real": (960, (472, 473), 411, 83, 761, 65, 134),
        "mcgan-1x": (1020, 478, 454, 88, 812, 73, 135),
        "mcgan-2x": (978, 473, 448, 57, 761, 57, 160),
        "mcgan-3x": (950, 434, 428, 88, 716, 81, 153),
        "mcgan-l1-1x": (943, (454, 455), 421, 74, 727, 66, 150),
        "mcgan-l1-2x": (944, 429, 428, 87, 754, 61, 129),
        "mcgan-l1-3x": (888, 411, 395, 82, 692, 71, 125),
    }
    for arm, row in arms.items():
        hits = [one if isinstance(one, tuple) else (one, one) for one in expected[arm]]
        assert list(row.hits.values()) == hits
        for column, (low, high) in row.hits.items():
            for k in (low, high):
                assert round(100 * k / (7 * row.nodules[column]), 1) == row.row.percent(column)


def test_two_rows_do_not_add_up_by_size(arms):
    off = {arm for arm, row in arms.items() if not row.adds_up(SIZES)}
    assert off == {"real", "mcgan-l1-1x"}
    assert all(row.adds_up(ATTENUATIONS) for row in arms.values())
    assert {arms[arm].surplus(SIZES) for arm in off} == {(6, 7)}


def test_what_a_single_wrong_cell_would_have_to_be(arms):
    implied = {column: arms["real"].implied_percent(column) for column in SIZES}
    assert implied["small"] == pytest.approx((100 * 466 / 1057,) * 2)
    assert implied["medium"] == pytest.approx((100 * 404 / 665, 100 * 405 / 665))
    assert implied["large"] == pytest.approx((100 * 76 / 133, 100 * 77 / 133))
    assert arms["mcgan-1x"].implied_percent("ggn") == pytest.approx((100 * 135 / 553,) * 2)


def test_any_attenuation_rests_on_one_nodule_at_one_rate(arms):
    gained = gains(arms[HEADLINE], arms[BASELINE])
    assert gained["ggn"].hits == (1, 1)
    assert gained["large"].hits == (5, 5)
    assert min(gain.hits[0] for gain in gained.values()) == 1
    assert gained["small"].hits == (5, 6)


def test_the_whole_gain_beside_chance(arms):
    whole = gains(arms[HEADLINE], arms[BASELINE])[ALL]
    assert whole.hits == (60, 60)
    assert whole.nodules_per_rate == pytest.approx((60 / 7, 60 / 7))
    assert round(whole.standard_error_percent, 1) == 3.1
    draws = np.random.default_rng(0).binomial(265, 0.518, 20_000) / 265
    assert whole.standard_error_percent == pytest.approx(100 * draws.std(), rel=0.03)


def test_more_images_and_l1_fall_below_the_baseline():
    assert below_baseline() == ["mcgan-3x", "mcgan-l1-1x", "mcgan-l1-2x", "mcgan-l1-3x"]


def test_lower_attenuation_is_harder_in_most_rows(rows):
    """The thesis' text has it the other way round."""
    for arm, row in rows.items():
        assert row.solid_percent > row.part_solid_percent > row.ggn_percent, arm
        assert row.small_percent < min(row.medium_percent, row.large_percent) or arm == "mcgan-2x"


def test_a_mistyped_digit_shows(rows):
    mistyped = replace(rows["mcgan-1x"], ggn_percent=24.9)
    best, *_ = class_sizes(ATTENUATIONS, [mistyped, *list(rows.values())[2:]])
    assert "mcgan-1x" not in best.arms


def test_rows_that_agree_on_no_class_sizes_are_not_decoded(rows):
    with pytest.raises(PathoganError, match="no one set of class sizes fits small, medium, large"):
        decoded([rows["real"]])
    nonsense = replace(rows["real"], small_percent=0, medium_percent=0, large_percent=0)
    with pytest.raises(PathoganError, match="no one set of class sizes"):
        decoded([nonsense])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arm": "mcgan"}, "with 0 scans is no arm of Table 5"),
        ({"synthetic_scans": 632}, "with 632 scans is no arm"),
        ({"ggn_percent": 100.1}, "a CPM is no percentage"),
        ({"cpm_percent": float("nan")}, "a CPM is no percentage"),
    ],
)
def test_impossible_rows_are_refused(rows, change, message):
    with pytest.raises(PathoganError, match=message):
        replace(rows[BASELINE], **change)


def test_a_cell_that_is_no_number_is_refused(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(PACKAGED.read_text().replace(",51.8,", ",51.8%,", 1))
    with pytest.raises(PathoganError, match=r"cpm_percent is '51.8%'"):
        load_nodules(path)
