"""Visual Turing Test statistics against closed forms, invariances and bad files."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.turing import (
    Answer,
    Confusion,
    clopper_pearson,
    count,
    detectable_accuracy,
    equivalence_margin,
    holm,
    judge,
    judge_classes,
    judge_readers,
    sensitivity_and_bias,
    significant_from,
)

truths = st.sampled_from(["real", "synthetic"])
answers = st.lists(
    st.builds(Answer, reader=st.sampled_from(["ann", "bo"]), truth=truths, answer=truths),
    min_size=1,
    max_size=60,
)
counts = st.integers(0, 60)
confusions = (
    st.tuples(counts, counts, counts, counts)
    .filter(lambda c: c[0] + c[1] > 0 and c[2] + c[3] > 0)
    .map(lambda c: Confusion(*c))
)


def tail(k: int, n: int, p: float) -> float:
    """P(at least k of n), summed term by term."""
    return math.fsum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))


@settings(deadline=None)
@given(confusions)
def test_rates_are_fractions_of_their_truth(confusion):
    result = judge(confusion)
    assert result.real_as_real + result.real_as_synthetic == pytest.approx(1)
    assert result.synthetic_as_real + result.synthetic_as_synthetic == pytest.approx(1)
    low, high = result.interval
    assert 0 <= low <= result.accuracy <= high <= 1
    weighted = (
        result.real_as_real * result.n_real + result.synthetic_as_synthetic * result.n_synthetic
    )
    assert result.accuracy == pytest.approx(weighted / result.n)


@settings(deadline=None)
@given(st.integers(1, 80).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_p_chance_is_twice_the_smaller_binomial_tail(case):
    correct, n = case
    result = judge(Confusion(correct, n - correct, 0, 0))
    extreme = max(correct, n - correct)
    assert result.p_chance == pytest.approx(min(1.0, 2 * tail(extreme, n, 0.5)))


@pytest.mark.parametrize(("correct", "n"), [(1, 7), (54, 100), (77, 100), (3, 3), (0, 5)])
def test_interval_ends_are_where_a_tail_is_two_and_a_half_percent(correct, n):
    low, high = clopper_pearson(correct, n)
    if correct > 0:
        assert tail(correct, n, low) == pytest.approx(0.025, rel=1e-6)
    else:
        assert low == 0
    if correct < n:
        assert 1 - tail(correct + 1, n, high) == pytest.approx(0.025, rel=1e-6)
    else:
        assert high == 1


@settings(deadline=None)
@given(confusions)
def test_d_prime_and_criterion_against_the_normal_quantile(confusion):
    d_prime, criterion, corrected = sensitivity_and_bias(confusion)
    extreme = {confusion.real_as_real / confusion.n_real} | {
        confusion.synthetic_as_real / confusion.n_synthetic
    }
    assert corrected == bool(extreme & {0.0, 1.0})
    half, one = (0.5, 1.0) if corrected else (0.0, 0.0)
    hit = NormalDist().inv_cdf((confusion.real_as_real + half) / (confusion.n_real + one))
    false = NormalDist().inv_cdf(
        (confusion.synthetic_as_real + half) / (confusion.n_synthetic + one)
    )
    assert d_prime == pytest.approx(hit - false, abs=1e-9)
    assert criterion == pytest.approx(-(hit + false) / 2, abs=1e-9)


@settings(deadline=None)
@given(confusions)
def test_swapping_labels_mirrors_the_criterion_and_keeps_d_prime(confusion):
    rr, rs, sr, ss = confusion.counts
    plain, swapped = judge(confusion), judge(Confusion(ss, sr, rs, rr))
    assert swapped.d_prime == pytest.approx(plain.d_prime, abs=1e-9)
    assert swapped.criterion == pytest.approx(-plain.criterion, abs=1e-9)
    assert swapped.accuracy == plain.accuracy
    assert swapped.says_synthetic == pytest.approx(1 - plain.says_synthetic)


@settings(deadline=None)
@given(confusions)
def test_opposite_answers_negate_d_prime_and_criterion(confusion):
    rr, rs, sr, ss = confusion.counts
    plain, opposite = judge(confusion), judge(Confusion(rs, rr, ss, sr))
    assert opposite.d_prime == pytest.approx(-plain.d_prime, abs=1e-9)
    assert opposite.criterion == pytest.approx(-plain.criterion, abs=1e-9)
    assert opposite.p_chance == pytest.approx(plain.p_chance)
    assert opposite.interval == pytest.approx(tuple(1 - x for x in reversed(plain.interval)))


def test_signs_of_the_convention():
    always_synthetic_leaning = judge(Confusion(20, 30, 6, 44))
    assert always_synthetic_leaning.d_prime > 0
    assert always_synthetic_leaning.criterion > 0
    assert judge(Confusion(44, 6, 30, 20)).criterion < 0
    assert judge(Confusion(10, 40, 40, 10)).d_prime < 0


@settings(deadline=None)
@given(answers, st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert judge_readers(shuffled) == judge_readers(rows)


@settings(deadline=None)
@given(answers)
def test_pooled_counts_are_the_sum_and_pooled_rates_the_weighted_mean(rows):
    results = judge_readers(rows)
    pooled = results.pop("all")
    assert pooled.n_real == sum(r.n_real for r in results.values())
    assert pooled.n_synthetic == sum(r.n_synthetic for r in results.values())
    mean = sum(r.accuracy * r.n for r in results.values()) / pooled.n
    assert pooled.accuracy == pytest.approx(mean)
    if pooled.n_real:
        rate = sum((r.real_as_real or 0) * r.n_real for r in results.values()) / pooled.n_real
        assert pooled.real_as_real == pytest.approx(rate)


def test_unbalanced_truth_is_named_and_guessing_real_is_no_skill():
    result = judge(Confusion(80, 0, 20, 0))
    assert result.unbalanced
    assert any("80 real, 20 synthetic" in note for note in result.notes)
    assert result.p_chance < 1e-6  # misleading, which is why the next two exist
    assert result.p_independent == 1
    assert result.balanced_accuracy == 0.5
    assert not judge(Confusion(5, 5, 5, 5)).unbalanced


def test_one_truth_only_has_no_d_prime():
    result = judge(Confusion(3, 2, 0, 0))
    assert result.d_prime is None
    assert result.criterion is None
    assert result.synthetic_as_real is None
    assert result.unbalanced


def test_p_independent_is_the_hypergeometric_sum():
    rr, rs, sr, _ = table = (7, 3, 2, 8)
    said_real, n_real, n = rr + sr, rr + rs, sum(table)

    def chance(k: int) -> float:
        ways = math.comb(n_real, k) * math.comb(n - n_real, said_real - k)
        return ways / math.comb(n, said_real)

    possible = range(max(0, said_real - (n - n_real)), min(n_real, said_real) + 1)
    expected = sum(chance(k) for k in possible if chance(k) <= chance(rr) * (1 + 1e-9))
    assert judge(Confusion(*table)).p_independent == pytest.approx(expected)


@pytest.mark.parametrize("n", [6, 10, 37, 100, 400])
def test_significant_from_is_the_first_significant_count(n):
    first = next(k for k in range(math.ceil(n / 2), n + 1) if 2 * tail(k, n, 0.5) < 0.05)
    assert significant_from(n) == first / n


def test_with_five_answers_nothing_is_significant():
    assert significant_from(5) is None
    assert detectable_accuracy(5) is None


@pytest.mark.parametrize("n", [10, 100, 400])
def test_detectable_accuracy_has_eighty_percent_power(n):
    needed = round(significant_from(n) * n)
    assert tail(needed, n, detectable_accuracy(n)) == pytest.approx(0.8, rel=1e-6)


def test_equivalence_margin_is_two_one_sided_tests():
    margin = equivalence_margin(54, 100)
    upper = 1 - tail(55, 100, 0.5 + margin)  # P(at most 54)
    lower = tail(54, 100, 0.5 - margin)
    assert max(upper, lower) == pytest.approx(0.05, rel=1e-6)


def test_holm_against_the_step_down_rule():
    p = [0.01, 0.04, 0.03, 0.005]
    assert holm(p) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_lies_between_raw_and_bonferroni_and_keeps_the_order(p):
    adjusted = holm(p)
    assert all(a >= b for a, b in zip(adjusted, p, strict=True))
    assert all(a <= min(1, b * len(p)) + 1e-12 for a, b in zip(adjusted, p, strict=True))
    ranked = [a for _, a in sorted(zip(p, adjusted, strict=True))]
    assert ranked == sorted(ranked)


def test_class_question_by_true_class():
    rows = [
        Answer("ann", "real", "real", "tumour", "tumour"),
        Answer("ann", "real", "synthetic", "tumour", "healthy"),
        Answer("ann", "synthetic", "real", "tumour", "tumour"),
        Answer("ann", "synthetic", "synthetic", "healthy", "healthy"),
        Answer("ann", "synthetic", "synthetic"),
    ]
    classes = judge_classes(rows)
    assert classes.n == 4
    assert classes.accuracy == 0.75
    assert classes.rates["tumour"] == pytest.approx({"tumour": 2 / 3, "healthy": 1 / 3})
    assert classes.rates["healthy"] == {"healthy": 1.0, "tumour": 0.0}
    assert judge_classes([replace(rows[-1])]) is None


def test_a_reader_must_not_be_called_like_the_pooled_row():
    with pytest.raises(PathoganError, match="pooled"):
        judge_readers([Answer("all", "real", "real")])


def test_no_answers_at_all():
    with pytest.raises(PathoganError, match="no answers"):
        judge_readers([])
    with pytest.raises(PathoganError, match="zero"):
        count([])
