"""Thesis Table 3 as data, and what is computed from it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import comb, log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.turing import Confusion
from pathogan_core.experiments.published import turing_reanalysis
from pathogan_core.experiments.published_table3 import (
    load_refined_turing,
    refinements,
    same_odds_ratio,
)


def test_table_has_three_models_of_four_times_fifty_images():
    rows = load_refined_turing()
    assert [row.label for row in rows] == ["PGGAN", "MUNIT", "SimGAN"]
    for row in rows:
        assert (row.confusion.n_real, row.confusion.n_synthetic) == (100, 100)
        for truth in ("real", "synthetic"):
            assert (
                row.tumour_confusion(truth).counts[0] + row.tumour_confusion(truth).counts[1] == 50
            )


def test_mistakes_by_truth_add_up_to_the_whole():
    for row in load_refined_turing():
        parts = [row.tumour_confusion(truth).counts for truth in ("real", "synthetic")]
        assert tuple(map(sum, zip(*parts, strict=True))) == row.tumour_confusion().counts


def test_every_set_was_told_apart_far_beyond_chance():
    for item in turing_reanalysis(load_refined_turing()):
        assert item.result.interval[0] > 0.69
        assert item.p_holm < 1e-12


def test_accuracy_falls_while_d_prime_and_the_leaning_rise():
    results = [item.result for item in turing_reanalysis(load_refined_turing())]
    assert [round(100 * r.accuracy, 1) for r in results] == [79.5, 77.0, 76.0]
    assert [round(r.d_prime, 2) for r in results] == [1.69, 1.95, 2.40]
    assert [round(r.criterion, 2) for r in results] == [0.23, 0.77, 1.13]


def test_fewer_refined_images_passed_and_fewer_real_ones_were_trusted():
    munit, simgan = refinements()
    assert simgan.p_passed == pytest.approx(0.00064, rel=0.01)
    assert munit.p_passed == pytest.approx(0.024, rel=0.02)
    assert simgan.p_trusted == pytest.approx(0.0052, rel=0.02)
    assert munit.p_trusted == pytest.approx(0.037, rel=0.02)


def test_that_refined_images_are_told_apart_better_is_not_beyond_noise():
    munit, simgan = refinements()
    assert simgan.p_told_apart == pytest.approx(0.086, rel=0.01)
    assert munit.p_told_apart == pytest.approx(0.37, rel=0.01)


def test_missed_tumours_become_fewer_in_real_images_that_nothing_refined():
    rows = load_refined_turing()
    assert [row.missed_real for row in rows] == [11, 6, 2]
    assert [row.missed_synthetic for row in rows] == [12, 6, 7]


def counted(table):
    return Confusion(*table)


def zelen(a, b):
    """The definition in fractions: tables with the observed margins and sum of first cells."""

    def ways(table, first):
        real, synthetic = table[0] + table[1], table[2] + table[3]
        return comb(real, first) * comb(synthetic, table[0] + table[2] - first)

    total = a[0] + b[0]
    weights = {
        first: Fraction(ways(a, first) * ways(b, total - first))
        for first in range(total + 1)
        if first <= a[0] + a[2] and total - first <= b[0] + b[2]
    }
    likely = sum(w for w in weights.values() if w <= weights[a[0]])
    return float(likely / sum(weights.values()))


cells = st.tuples(*[st.integers(0, 9)] * 4).filter(lambda t: sum(t) > 0)


@given(cells, cells)
def test_odds_ratios_are_compared_as_by_definition(a, b):
    assert same_odds_ratio(counted(a), counted(b)) == pytest.approx(zelen(a, b), abs=1e-9)


@given(cells, cells)
def test_odds_ratios_do_not_depend_on_the_order_nor_on_which_answer_comes_first(a, b):
    p = same_odds_ratio(counted(a), counted(b))
    assert same_odds_ratio(counted(b), counted(a)) == pytest.approx(p, abs=1e-9)
    turned = [counted((t[1], t[0], t[3], t[2])) for t in (a, b)]
    assert same_odds_ratio(*turned) == pytest.approx(p, abs=1e-9)


def test_equal_tables_have_equal_odds_ratios_and_opposite_ones_do_not():
    table, opposite = Confusion(40, 10, 10, 40), Confusion(10, 40, 40, 10)
    assert same_odds_ratio(table, table) == pytest.approx(1)
    assert same_odds_ratio(table, opposite) < 1e-12


def test_a_change_of_leaning_alone_is_no_change_of_the_odds_ratio():
    # The odds ratio is 4 in both; the second reader says "real" far less often.
    assert same_odds_ratio(Confusion(80, 40, 40, 80), Confusion(40, 160, 16, 256)) == 1


def test_large_tables_agree_with_the_normal_approximation():
    a, b = Confusion(730, 270, 140, 860), Confusion(580, 420, 40, 960)
    log_ratios = [
        log(c.real_as_real * c.synthetic_as_synthetic / (c.real_as_synthetic * c.synthetic_as_real))
        for c in (a, b)
    ]
    error = sqrt(sum(1 / count for c in (a, b) for count in c.counts))
    z = stats.norm.isf(same_odds_ratio(a, b) / 2)
    assert z == pytest.approx((log_ratios[1] - log_ratios[0]) / error, rel=0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "unit"}, "unknown model"),
        ({"accuracy_percent": 90.0}, "accuracy"),
        ({"tumour_accuracy_percent": 90.0}, "accuracy"),
        ({"n_tumour": 200, "n_non_tumour": 200}, "equally many"),
        ({"missed_real": 12}, "add up to all mistakes"),
        ({"imagined_synthetic": 1}, "add up to all mistakes"),
    ],
)
def test_contradicting_rows_are_refused(change, message):
    with pytest.raises(PathoganError, match=message):
        replace(load_refined_turing()[0], **change)
