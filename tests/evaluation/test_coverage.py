from __future__ import annotations

import numpy as np
import pytest

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.coverage import measure_coverage
from pathogan_core.evaluation.features import SEQUENCES


def coverage_of(fake_counts: list[int], right: int = 98, wrong: int = 2):
    """A classifier that is right `right` times in 100, its mistakes going to the next sequence."""
    truth = np.repeat(np.arange(4), right + wrong)
    answers = np.concatenate([[k] * right + [(k + 1) % 4] * wrong for k in range(4)])
    return measure_coverage(
        fake_predicted=np.repeat(np.arange(4), fake_counts),
        real_predicted=answers,
        real_sequences=np.array(SEQUENCES)[truth],
    )


def test_shares_and_accuracy_are_the_counted_ones() -> None:
    coverage = coverage_of([10, 20, 30, 40])
    assert [coverage.fake_share(name).value for name in SEQUENCES] == [0.1, 0.2, 0.3, 0.4]
    assert [coverage.real_share(name).value for name in SEQUENCES] == [0.25] * 4
    assert coverage.accuracy.value == 0.98
    assert coverage.accuracy.n == 400
    assert coverage.confusion[0].tolist() == [98, 2, 0, 0]


def test_a_dropped_sequence_is_not_covered_and_the_others_are() -> None:
    coverage = coverage_of([0, 100, 100, 100])
    assert [coverage.is_covered(name) for name in SEQUENCES] == [False, True, True, True]


def test_what_mistakes_explain_is_not_covered() -> None:
    # One generated image in 200 taken for T1; the classifier makes that mistake in 2 of 300.
    assert not coverage_of([1, 67, 66, 66]).is_covered("t1")
    assert coverage_of([40, 60, 50, 50]).is_covered("t1")
    # With a classifier that guesses, a quarter of the images proves nothing.
    assert not coverage_of([50, 50, 50, 50], right=50, wrong=50).is_covered("t1")


def test_without_real_images_of_other_sequences_nothing_is_known() -> None:
    coverage = measure_coverage(
        fake_predicted=np.zeros(50, int),
        real_predicted=np.zeros(50, int),
        real_sequences=np.array(["t1"] * 50),
    )
    assert not coverage.is_covered("t1")


def test_unknown_sequences_and_unlike_lengths_are_refused() -> None:
    one = np.zeros(1, int)
    with pytest.raises(PathoganError, match="unknown sequence 'dwi'"):
        measure_coverage(fake_predicted=one, real_predicted=one, real_sequences=np.array(["dwi"]))
    with pytest.raises(PathoganError, match="2 sequences for 1 real images"):
        measure_coverage(
            fake_predicted=one, real_predicted=one, real_sequences=np.array(["t1", "t2"])
        )
