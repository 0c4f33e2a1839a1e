"""From all anchors to what is reported: hand-worked cases, and resizing that boxes follow."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pathogan_core.boxes import iou
from pathogan_core.cad.detections import resized, suppressed

A = [0.0, 0, 10, 10]
HALF_OF_A = [0.0, 0, 10, 5]  # IoU 1/2
BESIDE_A = [5.0, 0, 15, 10]  # IoU 1/3 with A, 1/5 with its half
FAR = [50.0, 50, 60, 60]


def found(boxes, scores, least=0.001, most=0.45, candidates=100):
    kept = suppressed(torch.tensor(boxes), torch.tensor(scores), least, most, candidates)
    return kept.boxes.tolist(), kept.scores.tolist()


def test_of_two_that_overlap_the_lower_one_goes() -> None:
    boxes, scores = found([HALF_OF_A, A, FAR, BESIDE_A], [0.8, 0.9, 0.2, 0.7])
    assert boxes == [A, BESIDE_A, FAR]
    assert scores == pytest.approx([0.9, 0.7, 0.2])


def test_only_more_overlap_than_the_limit_counts() -> None:
    assert found([A, HALF_OF_A], [0.9, 0.8], most=0.5)[0] == [A, HALF_OF_A]
    assert found([A, HALF_OF_A], [0.9, 0.8], most=0.499)[0] == [A]


def test_what_is_dropped_drops_nothing() -> None:
    """The middle one goes because of the first; the third overlaps only the middle one."""
    chain = [[0.0, 0, 10, 10], [4.0, 0, 14, 10], [8.0, 0, 18, 10]]  # IoU 6/14, 6/14, 2/18
    assert found(chain, [0.9, 0.8, 0.7], most=0.4)[0] == [chain[0], chain[2]]


def test_of_equal_scores_the_first_stays() -> None:
    assert found([HALF_OF_A, A], [0.5, 0.5])[0] == [HALF_OF_A]
    assert found([A, HALF_OF_A], [0.5, 0.5])[0] == [A]


def test_a_score_at_the_threshold_is_a_detection() -> None:
    assert found([A, FAR], [0.25, 0.2499], least=0.25)[0] == [A]
    assert found([A, FAR], [0.1, 0.1], least=0.25) == ([], [])


def test_boxes_without_area_are_none() -> None:
    assert found([[3.0, 3, 3, 9], [3.0, 5, 9, 5], A], [0.9, 0.9, 0.1])[0] == [A]


def test_only_the_highest_are_candidates() -> None:
    assert found([A, FAR, BESIDE_A], [0.3, 0.5, 0.4], candidates=2)[0] == [FAR, BESIDE_A]


def test_nothing_in_an_empty_list() -> None:
    kept = suppressed(torch.zeros(0, 4), torch.zeros(0), 0.001, 0.45, 10)
    assert (kept.boxes.shape, kept.scores.shape) == ((0, 4), (0,))


def test_against_a_slow_version() -> None:
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 60, (150, 2))
    boxes = np.hstack([low, low + rng.uniform(5, 40, (150, 2))]).astype(np.float32)
    scores = rng.permutation(150).astype(np.float32) / 150
    overlap, kept = iou(boxes, boxes), []
    for k in np.argsort(-scores):
        if scores[k] >= 0.1 and all(overlap[k, other] <= 0.3 for other in kept):
            kept.append(k)
    got = suppressed(torch.tensor(boxes), torch.tensor(scores), 0.1, 0.3, 1000)
    assert np.array_equal(got.boxes, boxes[kept])
    assert np.array_equal(got.scores, scores[kept])


@pytest.mark.parametrize(("side", "size"), [(64, 160), (64, 64), (160, 64), (256, 416)])
def test_boxes_times_the_scale_follow_the_image(side: int, size: int) -> None:
    """A filled box keeps its mass and its centre of mass, to a part of a pixel."""
    x0, y0, x1, y1 = np.array([0.25, 0.375, 0.5, 0.8125]) * side
    image = torch.full((1, 1, side, side), -1.0)
    image[..., int(y0) : int(y1), int(x0) : int(x1)] = 1
    grey = (resized(image, size)[0, 0] + 1).double() / 2
    places, scale = torch.arange(size) + 0.5, size / side
    assert grey.sum().item() == pytest.approx((x1 - x0) * (y1 - y0) * scale**2, rel=0.01)
    across = (grey.sum(0) * places).sum() / grey.sum()
    down = (grey.sum(1) * places).sum() / grey.sum()
    assert across.item() == pytest.approx((x0 + x1) / 2 * scale, abs=0.05)
    assert down.item() == pytest.approx((y0 + y1) / 2 * scale, abs=0.05)
