"""LUNA16's rules: by hand, against loops that know nothing of curves, and by invariance."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.cpm import ALL, Judged, curve, measure
from pathogan_core.evaluation.detection import LEVELS
from pathogan_core.evaluation.luna import Findings, Marks, judge

Point = tuple[float, float, float]
Sphere = tuple[Point, float]
"""Centre and diameter."""
Mark = tuple[Point, float]
"""Centre and score."""


@dataclass(frozen=True)
class Scan:
    nodules: tuple[Sphere, ...] = ()
    excluded: tuple[Sphere, ...] = ()
    marks: tuple[Mark, ...] = ()


def table(scans: list[Scan], of: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = [(i, *row) for i, scan in enumerate(scans) for row in getattr(scan, of)]
    return (
        np.array([i for i, _, _ in rows], dtype=np.int64),
        np.array([centre for _, centre, _ in rows], dtype=float).reshape(-1, 3),
        np.array([number for _, _, number in rows], dtype=float),
    )


def judged(scans: list[Scan], most_marks: int = 100) -> Judged:
    nodules, excluded = Findings(*table(scans, "nodules")), Findings(*table(scans, "excluded"))
    return judge(len(scans), nodules, excluded, Marks(*table(scans, "marks")), most_marks)


def outcome(*scans: Scan, most_marks: int = 100) -> tuple[list[float], list[float]]:
    """Where nodules are found, and the scores of false positives, falling."""
    found = judged(list(scans), most_marks)
    return found.found_at.tolist(), sorted(found.false_at.tolist(), reverse=True)


ORIGIN: Point = (0.0, 0.0, 0.0)
MISSED = -np.inf


def at(x: float, score: float) -> Mark:
    return ((x, 0.0, 0.0), score)


def nodule(x: float = 0.0, diameter: float = 10.0) -> Sphere:
    return ((x, 0.0, 0.0), diameter)


def test_a_mark_must_lie_strictly_within_the_radius() -> None:
    assert outcome(Scan((nodule(),), (), (at(4.999, 0.9),))) == ([0.9], [])
    assert outcome(Scan((nodule(),), (), (at(5.0, 0.9),))) == ([MISSED], [0.9])
    corner = ((3.0, 0.0, 4.0), 0.9)  # 5 mm away, along no axis
    assert outcome(Scan((nodule(),), (), (corner,))) == ([MISSED], [0.9])
    assert outcome(Scan((nodule(diameter=10.01),), (), (corner,))) == ([0.9], [])


def test_the_best_hit_counts_and_the_others_are_neither() -> None:
    assert outcome(Scan((nodule(),), (), (at(1, 0.3), at(0, 0.7), at(2, 0.7)))) == ([0.7], [])


def test_overlapping_nodules_share_a_mark() -> None:
    assert outcome(Scan((nodule(0), nodule(6)), (), (at(3, 0.4), at(-1, 0.9)))) == ([0.9, 0.4], [])


def test_marks_on_excluded_findings_drop_out_unless_they_hit_a_nodule() -> None:
    scan = Scan((nodule(0),), (nodule(3),), (at(1, 0.8), at(6, 0.7), at(20, 0.6)))
    assert outcome(scan) == ([0.8], [0.6])


@pytest.mark.parametrize("unknown", [-1.0, -0.5, -30.0])
def test_an_excluded_finding_of_unknown_size_counts_as_10_mm(unknown: float) -> None:
    for x, false in ((4.999, []), (5.0, [0.6])):
        assert outcome(Scan((), (nodule(0, unknown),), (at(x, 0.6),)))[1] == false
    assert outcome(Scan((), (nodule(0, 0.0),), (at(0, 0.6),)))[1] == [0.6]


def test_of_101_marks_those_above_the_last_count() -> None:
    falling = [at(100 + k, 1 - k / 200) for k in range(101)]
    everything = [score for _, score in falling]
    assert outcome(Scan((), (), tuple(falling[:100])))[1] == everything[:100]
    assert outcome(Scan((), (), tuple(reversed(falling))))[1] == everything[:100]
    tied = [*falling[:99], at(300, 0.1), at(301, 0.1)]  # the 100th is not above the 101st
    assert outcome(Scan((), (), tuple(tied)))[1] == everything[:99]
    alike = tuple(at(300 + k, 0.5) for k in range(101))
    assert outcome(Scan((), (), alike))[1] == []
    assert outcome(Scan((nodule(),), (), (*alike[1:], at(0, 0.4)))) == ([MISSED], [0.5] * 100)


def test_every_scan_has_its_own_most() -> None:
    scans = [Scan((), (), tuple(at(100 + k, score) for k in range(60))) for score in (0.2, 0.9)]
    assert len(outcome(*scans)[1]) == 120


def test_scans_do_not_share_marks() -> None:
    assert outcome(Scan((nodule(),)), Scan((), (nodule(),), (at(0, 0.9),))) == ([MISSED], [])
    assert outcome(Scan((nodule(),)), Scan((), (), (at(0, 0.9),))) == ([MISSED], [0.9])


def test_sensitivity_in_closed_form() -> None:
    """Two scans; found at 0.9 and 0.5, one missed; false at 0.7, and at 0.5 with the second hit.

    The curve: (0, 0), (0, 1/3), (1/2, 1/3), (1, 2/3).
    """
    scans = [
        Scan((nodule(0), nodule(50)), (), (at(0, 0.9), at(200, 0.7))),
        Scan((nodule(0),), (), (at(0, 0.5), at(200, 0.5))),
    ]
    found = measure(judged(scans))[ALL]
    assert found.sensitivity == pytest.approx((1 / 3, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3, 2 / 3))
    assert found.value == pytest.approx((3 * 1 / 3 + 4 * 2 / 3) / 7)
    line = curve(judged(scans))
    assert line.at([0.5, 0.75, 1]) == pytest.approx([1 / 3, 1 / 2, 2 / 3])
    assert line.fps_per_scan.tolist() == [0, 0, 0.5, 1]


# A second version: it applies the rules again at every threshold, in loops.


def counted(scan: Scan, threshold: float, most_marks: int) -> tuple[int, int]:
    """Nodules found and false positives of one scan among marks from a score upwards."""

    def near(mark: Mark, sphere: Sphere) -> bool:
        diameter = 10.0 if sphere[1] < 0 else sphere[1]
        return 4 * sum((a - b) ** 2 for a, b in zip(mark[0], sphere[0], strict=True)) < diameter**2

    falling = sorted((score for _, score in scan.marks), reverse=True)
    above = falling[most_marks] if len(falling) > most_marks else -np.inf
    left = [mark for mark in scan.marks if mark[1] > above and mark[1] >= threshold]
    found = sum(any(near(mark, one) for mark in left) for one in scan.nodules)
    known = (*scan.nodules, *scan.excluded)
    return found, sum(not any(near(mark, one) for one in known) for mark in left)


def sensitivities(scans: list[Scan], most_marks: int) -> list[float]:
    nodules = sum(len(scan.nodules) for scan in scans)
    points = [(0.0, 0.0)]
    for threshold in sorted({score for scan in scans for _, score in scan.marks}, reverse=True):
        both = [counted(scan, threshold, most_marks) for scan in scans]
        points.append((sum(f for _, f in both) / len(scans), sum(n for n, _ in both) / nodules))
    read = []
    for rate in LEVELS:
        before = max(p for p in points if p[0] <= rate)
        after = min((p for p in points if p[0] > rate), default=None)
        share = 0.0 if after is None else (rate - before[0]) / (after[0] - before[0])
        read.append(before[1] + share * ((after or before)[1] - before[1]))
    return read


@st.composite
def cases(draw) -> list[Scan]:
    """Few places, so that distances are often radii; few scores, so that they are often equal."""
    step = st.sampled_from([0.0, 1.5, 2.0, 5.0, 8.0, 40.0])
    place = st.tuples(step, step, st.sampled_from([0.0, 3.0]))
    known = st.tuples(place, st.sampled_from([3.0, 4.0, 10.0, 17.5]))
    maybe = st.tuples(place, st.sampled_from([-1.0, 0.0, 3.0, 10.0]))
    score = st.sampled_from([-3.0, 0.0, 0.1, 0.25, 0.5, 0.75, 1.0]) | st.floats(0, 1)
    mark = st.tuples(place, score)
    scan = st.builds(
        Scan,
        st.lists(known, max_size=3).map(tuple),
        st.lists(maybe, max_size=2).map(tuple),
        st.lists(mark, max_size=12).map(tuple),
    )
    return draw(st.lists(scan, min_size=1, max_size=6))


@given(cases(), st.sampled_from([1, 3, 100]))
@settings(max_examples=200, deadline=None)
def test_all_of_it_agrees_with_loops(scans, most_marks) -> None:
    found = measure(judged(scans, most_marks), resamples=1)[ALL]
    if any(scan.nodules for scan in scans):
        expected = sensitivities(scans, most_marks)
        np.testing.assert_allclose(found.sensitivity, expected, rtol=0, atol=1e-9)
        assert found.value == pytest.approx(np.mean(expected), rel=0, abs=1e-9)
    else:
        assert (found.sensitivity, found.value, found.interval) == (None, None, None)


@given(cases(), st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_a_resample_is_a_set_of_copied_scans(scans, seed) -> None:
    """Also where none of the scans drawn has a mark, or none a nodule."""
    found = measure(judged(scans, 3), resamples=20, seed=seed)[ALL]
    rng, expected = np.random.default_rng(seed), []
    for _ in range(20):
        drawn = [scans[k] for k in rng.integers(len(scans), size=len(scans))]
        if any(scan.nodules for scan in drawn):
            expected.append(np.mean(sensitivities(drawn, 3)))
    if found.value is None or len(scans) == 1 or not expected:
        assert found.interval is None
    else:
        np.testing.assert_allclose(found.interval, np.percentile(expected, [2.5, 97.5]), atol=1e-9)


@given(cases(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_neither_order_nor_place_matters(scans, random) -> None:
    """Scans and rows in another order, moved and with axes exchanged; by powers of two, exactly."""

    def moved(row):
        (x, y, z), number = row
        return ((z + 64.0, x - 32.0, y + 256.0), number)

    others = []
    for scan in random.sample(scans, len(scans)):
        kinds = {kind: [moved(row) for row in getattr(scan, kind)] for kind in vars(scan)}
        others.append(Scan(**{k: tuple(random.sample(v, len(v))) for k, v in kinds.items()}))
    one, other = curve(judged(scans, 3)), curve(judged(others, 3))
    for name in ("scores", "fps_per_scan", "sensitivity"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@given(cases())
@settings(max_examples=40, deadline=None)
def test_only_the_order_of_scores_matters(scans) -> None:
    ranks = sorted({score for scan in scans for _, score in scan.marks})
    changed = [
        replace(scan, marks=tuple((c, 9.0 * ranks.index(score) - 70) for c, score in scan.marks))
        for scan in scans
    ]
    ours, theirs = (measure(judged(some, 3), resamples=1)[ALL] for some in (scans, changed))
    assert ours.sensitivity == theirs.sensitivity


@given(cases())
@settings(max_examples=40, deadline=None)
def test_a_copied_cohort_and_excluded_nodules_change_what_they_should(scans) -> None:
    once, twice = (measure(judged(s, 3), resamples=1)[ALL] for s in (scans, scans * 2))
    if once.sensitivity is not None:
        assert twice.sensitivity == pytest.approx(once.sensitivity, abs=1e-12)
    excluded = [replace(s, nodules=(), excluded=(*s.excluded, *s.nodules)) for s in scans]
    np.testing.assert_array_equal(judged(excluded, 3).false_at, judged(scans, 3).false_at)


FINE = table([Scan((nodule(),), (), (at(0, 0.9),))], "nodules")
NONE = table([Scan()], "nodules")


@pytest.mark.parametrize(
    ("scans", "nodules", "marks", "message"),
    [
        (0, NONE, NONE, "truth: there are no scans"),
        (1, (FINE[0] + 1, *FINE[1:]), NONE, "nodules: one is in scan 1 of 1"),
        (1, FINE, (FINE[0] - 1, *FINE[1:]), "marks: one is in scan -1 of 1"),
        (1, (*FINE[:2], -FINE[2]), NONE, "nodules: the diameter of nodule 0 is -10 mm"),
        (1, (*FINE[:2], 0 * FINE[2]), NONE, "nodules: the diameter of nodule 0 is 0 mm"),
        (1, FINE, (*FINE[:2], FINE[2] * np.nan), "marks: a number is not finite"),
        (1, FINE, (FINE[0], FINE[1] + np.inf, FINE[2]), "marks: a number is not finite"),
        (1, FINE, (*FINE[:2], NONE[2]), "marks: lengths differ"),
    ],
)
def test_what_means_nothing_is_refused_in_one_line(scans, nodules, marks, message) -> None:
    with pytest.raises(PathoganError, match=message) as caught:
        judge(scans, Findings(*nodules), Findings(*NONE), Marks(*marks))
    assert "\n" not in str(caught.value)
