"""Matching and curves: by hand, against two slow versions written otherwise, and by invariance."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.detection import (
    Detections,
    Froc,
    Outcomes,
    Truth,
    froc,
    match,
    operating_point,
)

Box = tuple[int, int, int, int]
Scored = tuple[Box, float]


def truth_of(images: Sequence[Sequence[Box]]) -> Truth:
    owners = [i for i, own in enumerate(images) for _ in own]
    table = np.array([box for own in images for box in own], dtype=float).reshape(-1, 4)
    return Truth(len(images), np.array(owners, dtype=np.int64), table)


def detections_of(images: Sequence[Sequence[Scored]]) -> Detections:
    rows = [(i, box, score) for i, own in enumerate(images) for box, score in own]
    return Detections(
        np.array([i for i, _, _ in rows], dtype=np.int64),
        np.array([box for _, box, _ in rows], dtype=float).reshape(-1, 4),
        np.array([score for _, _, score in rows], dtype=float),
    )


def matched(truth: Sequence[Box], detections: Sequence[Scored], iou: float = 0.5) -> list[int]:
    """Which truth box each detection of one image takes."""
    return match(truth_of([truth]), detections_of([detections]), [iou]).taken[iou].tolist()


LESION: Box = (0, 0, 10, 10)
HALF: Box = (0, 0, 10, 5)  # IoU 1/2 with the lesion
NEARLY: Box = (0, 0, 10, 9)  # 9/10
FAR: Box = (50, 50, 60, 60)


def test_a_second_detection_of_a_lesion_is_a_false_positive() -> None:
    assert matched([LESION], [(LESION, 0.9), (LESION, 0.8), (NEARLY, 0.7)]) == [0, -1, -1]


def test_the_best_score_takes_the_lesion_not_the_best_overlap() -> None:
    assert matched([LESION], [(LESION, 0.7), (HALF, 0.8)]) == [-1, 0]


def test_an_overlap_at_the_threshold_reaches_it() -> None:
    assert matched([LESION], [(HALF, 0.9)], 0.5) == [0]
    assert matched([LESION], [(HALF, 0.9)], 0.5000001) == [-1]


def test_a_detection_takes_the_highest_overlap_among_those_left() -> None:
    lesions = [NEARLY, LESION]
    assert matched(lesions, [(LESION, 0.9)]) == [1]
    assert matched(lesions, [(LESION, 0.9), (LESION, 0.8)]) == [1, 0]
    assert matched(lesions, [(LESION, 0.9), (LESION, 0.8), (LESION, 0.7)]) == [1, 0, -1]


def test_a_taken_lesion_can_leave_one_below_the_threshold() -> None:
    """The second detection would need the lesion that the first has; what is left overlaps 1/2."""
    assert matched([LESION, HALF], [(LESION, 0.9), (LESION, 0.8)], 0.6) == [0, -1]


def test_greed_can_cost_a_lesion() -> None:
    """The surer box fits both lesions and takes the better fit; the other fits only that one."""
    lesions: list[Box] = [(0, 0, 10, 10), (6, 0, 16, 10)]
    surer: Box = (2, 0, 12, 10)  # 8/12 with the first, 6/14 with the second
    other: Box = (-2, 0, 8, 10)  # 8/12 with the first, 2/18 with the second
    assert matched(lesions, [(surer, 0.9), (other, 0.8)], 0.25) == [0, -1]


def test_equal_scores_go_by_order_and_equal_overlaps_to_the_first_lesion() -> None:
    assert matched([LESION], [(HALF, 0.8), (LESION, 0.8)]) == [0, -1]
    assert matched([LESION], [(LESION, 0.8), (HALF, 0.8)]) == [0, -1]
    assert matched([LESION, LESION], [(LESION, 0.8)]) == [0]


def test_images_do_not_share_lesions() -> None:
    outcomes = match(truth_of([[LESION], []]), detections_of([[], [(LESION, 0.9)]]))
    point = operating_point(outcomes, 0.25)
    assert (point.hits, point.false_positives, point.lesions, point.images) == (0, 1, 1, 2)


def hand_worked() -> Outcomes:
    """Four images, one of them without a lesion, four lesions."""
    truth = truth_of([[LESION, FAR], [LESION], [], [LESION]])
    found = detections_of(
        [
            [(LESION, 0.9), (NEARLY, 0.6), (FAR, 0.2)],
            [(HALF, 0.8), (FAR, 0.6)],
            [(LESION, 0.6)],
            [],
        ]
    )
    return match(truth, found)


def test_curve_in_closed_form() -> None:
    """Scores 0.9 hit, 0.8 hit, 0.6 three false positives at once, 0.2 hit."""
    curve = froc(hand_worked(), 0.5)
    assert curve.scores.tolist() == [0.9, 0.8, 0.6, 0.2]
    assert curve.fps_per_image.tolist() == [0, 0, 0.75, 0.75]
    assert curve.sensitivity.tolist() == [0.25, 0.5, 0.5, 0.75]


@pytest.mark.parametrize(
    ("level", "sensitivity", "score", "beyond"),
    [(0, 0.5, 0.8, False), (0.7, 0.5, 0.8, False), (0.75, 0.75, 0.2, False), (2, 0.75, 0.2, True)],
)
def test_a_level_takes_the_highest_sensitivity_within_it(level, sensitivity, score, beyond) -> None:
    reading = froc(hand_worked(), 0.5).at(level)
    assert reading.sensitivity == sensitivity
    assert reading.score == score
    assert reading.beyond is beyond


def test_a_level_before_the_first_point_finds_nothing() -> None:
    outcomes = match(truth_of([[LESION]]), detections_of([[(FAR, 0.9), (LESION, 0.8)]]))
    reading = froc(outcomes, 0.5).at(0.5)
    assert (reading.sensitivity, reading.score, reading.beyond) == (0, None, False)


def test_a_level_written_in_decimals_meets_the_curve() -> None:
    """57 / 100 is the float 0.57, but 0.57 x 100 is below 57."""
    truth = truth_of([[LESION], *[[]] * 99])
    found = [[(FAR, 0.9)]] * 57 + [[]] * 43
    found[0] = [(LESION, 0.5), (FAR, 0.9)]
    assert froc(match(truth, detections_of(found)), 0.5).at(0.57).sensitivity == 1


def test_mean_sensitivity_is_the_mean_over_levels() -> None:
    curve = froc(hand_worked(), 0.5)
    assert curve.mean_sensitivity((0, 0.75)) == pytest.approx((0.5 + 0.75) / 2)


def test_a_detection_at_the_threshold_counts() -> None:
    outcomes = hand_worked()
    for threshold, hits, false in ((0.6, 2, 3), (0.60001, 2, 0), (0.2, 3, 3), (0.95, 0, 0)):
        point = operating_point(outcomes, 0.5, threshold)
        assert (point.hits, point.false_positives) == (hits, false)
        assert point.sensitivity == hits / 4
        assert point.fps_per_image == false / 4
    assert operating_point(outcomes, 0.5).hits == 3  # the thesis' 0.1%


def test_single_precision_scores_reach_a_threshold_written_in_decimals() -> None:
    found = detections_of([[(LESION, 0.001)]])
    outcomes = match(
        truth_of([[LESION]]),
        Detections(found.images, found.boxes.astype(np.float32), found.scores.astype(np.float32)),
    )
    assert operating_point(outcomes, 0.5, 0.001).hits == 1


def test_which_lesions_were_found() -> None:
    outcomes = hand_worked()
    assert outcomes.found(0.5).tolist() == [True, True, True, False]
    assert outcomes.found(0.5, threshold=0.5).tolist() == [True, False, True, False]
    assert outcomes.lesions.tolist() == [2, 1, 0, 1]


def test_without_lesions_sensitivity_is_undefined_and_false_positives_count() -> None:
    outcomes = match(truth_of([[], []]), detections_of([[(LESION, 0.9)], []]))
    point, curve = operating_point(outcomes, 0.5), froc(outcomes, 0.5)
    assert (point.sensitivity, point.fps_per_image) == (None, 0.5)
    assert np.isnan(curve.sensitivity).all()
    assert curve.at(1).sensitivity is None
    assert curve.mean_sensitivity() is None


def test_without_detections_nothing_is_found() -> None:
    outcomes = match(truth_of([[LESION], []]), detections_of([[], []]))
    point, curve = operating_point(outcomes, 0.5), froc(outcomes, 0.5)
    assert (point.sensitivity, point.fps_per_image) == (0, 0)
    assert len(curve.scores) == 0
    assert (curve.at(0).sensitivity, curve.at(0).beyond) == (0, False)
    assert (curve.at(1).sensitivity, curve.at(1).beyond) == (0, True)


# Two further versions, in exact arithmetic, which match again for every threshold.


def exact_iou(a: Box, b: Box) -> Fraction:
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return Fraction(width * height, both - width * height)


def count_by_loops(truth, found, iou: Fraction, threshold: float) -> tuple[int, int]:
    """Hits and false positives: loops over images, lists of what is left."""
    hits = false_positives = 0
    for lesions, detections in zip(truth, found, strict=True):
        left = list(lesions)
        kept = [one for one in detections if one[1] >= threshold]
        for box, _ in sorted(kept, key=lambda one: one[1], reverse=True):  # sorted() is stable
            best = None
            for lesion in left:
                if best is None or exact_iou(box, lesion) > exact_iou(box, best):
                    best = lesion
            if best is not None and exact_iou(box, best) >= iou:
                left.remove(best)
                hits += 1
            else:
                false_positives += 1
    return hits, false_positives


def settle(queue: tuple[Scored, ...], left: frozenset[int], truth, iou: Fraction) -> list[int]:
    """What each detection of the queue takes: the head's choice, then that of the others."""
    if not queue:
        return []
    (box, _), *others = queue
    choices = [(-exact_iou(box, truth[k]), k) for k in left if exact_iou(box, truth[k]) >= iou]
    chosen = min(choices)[1] if choices else -1
    return [chosen, *settle(tuple(others), left - {chosen}, truth, iou)]


@st.composite
def cases(draw) -> tuple[list[list[Box]], list[list[Scored]]]:
    """A few small images whose boxes often overlap and whose scores are often equal."""
    low, size = st.integers(0, 4), st.integers(1, 5)
    box = st.builds(lambda x, y, w, h: (x, y, x + w, y + h), low, low, size, size)
    scored = st.tuples(box, st.sampled_from([0.0, 0.0005, 0.001, 0.3, 0.5, 0.9, 1.0, 7.0, -2.0]))
    count = draw(st.integers(1, 4))
    truth = draw(st.lists(st.lists(box, max_size=4), min_size=count, max_size=count))
    found = draw(st.lists(st.lists(scored, max_size=6), min_size=count, max_size=count))
    return truth, found


IOUS = (0.25, 0.5, 0.6)


@given(cases())
@settings(max_examples=150, deadline=None)
def test_every_point_is_what_matching_again_at_its_threshold_gives(case) -> None:
    """The whole curve comes from one matching: a threshold only cuts its end off."""
    truth, found = case
    outcomes = match(truth_of(truth), detections_of(found), IOUS)
    lesions = sum(map(len, truth))
    distinct = sorted({score for own in found for _, score in own}, reverse=True)
    for iou in IOUS:
        curve = froc(outcomes, iou)
        assert curve.scores.tolist() == distinct
        for k, score in enumerate(distinct):
            hits, false = count_by_loops(truth, found, Fraction(str(iou)), score)
            point = operating_point(outcomes, iou, score)
            assert (point.hits, point.false_positives) == (hits, false)
            assert curve.fps_per_image[k] == false / len(truth)
            if lesions:
                assert curve.sensitivity[k] == hits / lesions


@given(cases())
@settings(max_examples=150, deadline=None)
def test_each_detection_takes_what_the_recursive_version_gives_it(case) -> None:
    truth, found = case
    outcomes = match(truth_of(truth), detections_of(found), IOUS)
    for iou in IOUS:
        expected, before = [], 0
        for lesions, own in zip(truth, found, strict=True):
            order = sorted(range(len(own)), key=lambda k, own=own: (-own[k][1], k))
            queue = tuple(own[k] for k in order)
            taken = settle(queue, frozenset(range(len(lesions))), lesions, Fraction(str(iou)))
            by_row = dict(zip(order, taken, strict=True))
            expected += [-1 if by_row[k] < 0 else before + by_row[k] for k in range(len(own))]
            before += len(lesions)
        assert outcomes.taken[iou].tolist() == expected


@given(cases(), st.floats(0, 10))
@settings(max_examples=100, deadline=None)
def test_a_reading_is_the_best_operating_point_within_the_level(case, level: float) -> None:
    truth, found = case
    outcomes = match(truth_of(truth), detections_of(found), (0.5,))
    scores = {score for own in found for _, score in own}
    points = [operating_point(outcomes, 0.5, score) for score in scores]
    within = [p.hits for p in points if p.fps_per_image <= level]
    lesions = sum(map(len, truth))
    expected = max(within, default=0) / lesions if lesions else None
    reading = froc(outcomes, 0.5).at(level)
    assert reading.sensitivity == expected
    assert reading.beyond == (level > max((p.fps_per_image for p in points), default=0))


def curves_equal(one: Froc, other: Froc) -> bool:
    pairs = ("scores", "fps_per_image", "sensitivity")
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in pairs
    )


@given(cases(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_neither_the_order_of_images_nor_how_their_rows_mix_matters(case, random) -> None:
    truth, found = case
    order = list(range(len(truth)))
    random.shuffle(order)
    before = match(truth_of(truth), detections_of(found))
    after = match(truth_of([truth[i] for i in order]), detections_of([found[i] for i in order]))
    assert curves_equal(froc(before, 0.5), froc(after, 0.5))
    flat = detections_of(found)
    turns = flat.images.tolist()
    random.shuffle(turns)
    queues = {i: iter(np.flatnonzero(flat.images == i)) for i in range(len(truth))}
    interleaved = [next(queues[i]) for i in turns]  # each image's own rows stay in order
    again = match(
        truth_of(truth),
        Detections(flat.images[interleaved], flat.boxes[interleaved], flat.scores[interleaved]),
    )
    assert curves_equal(froc(before, 0.5), froc(again, 0.5))
    np.testing.assert_array_equal(before.taken[0.25][interleaved], again.taken[0.25])


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_rows_in_any_order_where_no_scores_are_equal(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 10, (30, 2))
    table = np.hstack([corners, corners + rng.uniform(1, 8, (30, 2))])
    owners, scores = rng.integers(3, size=30), rng.permutation(30) / 30
    truth = Truth(3, owners[:10], table[:10])
    before = match(truth, Detections(owners[10:], table[10:], scores[10:]))
    order = rng.permutation(20) + 10
    after = match(truth, Detections(owners[order], table[order], scores[order]))
    for iou in (0.25, 0.5):
        assert curves_equal(froc(before, iou), froc(after, iou))


@given(cases())
@settings(max_examples=60, deadline=None)
def test_curves_do_not_fall_and_account_for_every_detection(case) -> None:
    truth, found = case
    outcomes = match(truth_of(truth), detections_of(found))
    curve = froc(outcomes, 0.25)
    assert (np.diff(curve.scores) < 0).all()
    assert (np.diff(curve.fps_per_image) >= 0).all()
    if curve.lesions:
        assert (np.diff(curve.sensitivity) >= 0).all()
    point = operating_point(outcomes, 0.25, -10)
    assert point.hits + point.false_positives == sum(map(len, found))
    assert int(outcomes.found(0.25, -10).sum()) == point.hits


NO_BOXES = np.zeros((0, 4)), np.zeros(0, dtype=np.int64)
ONE = np.array([[0.0, 0.0, 1.0, 1.0]])
BAD = {
    "no images": (lambda: Truth(0, NO_BOXES[1], NO_BOXES[0]), "truth: there are no images"),
    "unequal": (lambda: Truth(2, np.array([0, 1]), ONE), "truth: 2 images and 1 boxes"),
    "no such image": (lambda: Truth(2, np.array([2]), ONE), "truth: a box is in image 2 of 2"),
    "bad truth box": (lambda: Truth(2, np.array([1]), ONE * np.nan), "truth: box 0 .* not finite"),
    "scores": (
        lambda: Detections(np.array([0]), ONE, np.array([])),
        "detections: 1 images and 0 scores",
    ),
    "score": (
        lambda: Detections(np.array([0]), ONE, np.array([np.nan])),
        "the score of detection 0 is nan",
    ),
    "detection elsewhere": (
        lambda: match(
            Truth(1, NO_BOXES[1], NO_BOXES[0]), Detections(np.array([-1]), ONE, np.ones(1))
        ),
        "detections: a box is in image -1 of 1",
    ),
    "iou 0": (lambda: match(truth_of([[]]), detections_of([[]]), [0]), "iou: 0 is no threshold"),
    "iou 2": (lambda: match(truth_of([[]]), detections_of([[]]), [2]), "iou: 2 is no threshold"),
    "unmatched iou": (lambda: froc(hand_worked(), 0.3), "iou: nothing was matched at 0.3"),
    "threshold": (lambda: operating_point(hand_worked(), 0.5, np.nan), "threshold: is nan"),
}


@pytest.mark.parametrize(("act", "message"), BAD.values(), ids=BAD.keys())
def test_what_means_nothing_is_refused_in_one_line(act, message: str) -> None:
    with pytest.raises(PathoganError, match=message) as caught:
        act()
    assert "\n" not in str(caught.value)
