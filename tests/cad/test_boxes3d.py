"""Boxes in volumes: overlap, suppression and coding, against slow versions and torchvision's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import box_iou

from pathogan_core.cad import boxes3d


def random_boxes(count: int, seed: int, span: float = 20.0) -> Tensor:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, span, (count, 3))
    return torch.from_numpy(np.hstack([low, low + rng.uniform(0.5, span / 2, (count, 3))]))


def slow_iou(a: Tensor, b: Tensor) -> float:
    shared = 1.0
    for axis in range(3):
        shared *= max(0.0, float(min(a[axis + 3], b[axis + 3]) - max(a[axis], b[axis])))
    sizes = [float(np.prod([box[axis + 3] - box[axis] for axis in range(3)])) for box in (a, b)]
    return shared / (sum(sizes) - shared)


def test_overlap_is_that_of_a_slow_version():
    a, b = random_boxes(12, 0), random_boxes(9, 1)
    found = boxes3d.iou(a, b)
    for i, one in enumerate(a):
        for j, other in enumerate(b):
            assert float(found[i, j]) == pytest.approx(slow_iou(one, other))
    torch.testing.assert_close(boxes3d.iou(a, a).diagonal(), torch.ones(12, dtype=torch.float64))


def test_boxes_of_equal_depth_overlap_as_in_two_dimensions():
    flat = random_boxes(15, 2)
    flat[:, 0], flat[:, 3] = 3, 7
    expected = box_iou(flat[:, [2, 1, 5, 4]], flat[:, [2, 1, 5, 4]])
    torch.testing.assert_close(boxes3d.iou(flat, flat), expected)


def test_boxes_that_touch_or_have_no_volume_do_not_overlap():
    box = torch.tensor([[0.0, 0, 0, 2, 2, 2]])
    for other in ([2.0, 0, 0, 4, 2, 2], [1.0, 1, 1, 1, 1, 1], [1.5, 1.5, 1.5, 0.5, 2, 2]):
        assert boxes3d.iou(box, torch.tensor([other])).tolist() == [[0]]
    assert boxes3d.iou(box[:0], box).shape == (0, 1)


def slow_nms(boxes: Tensor, scores: Tensor, most: float) -> list[int]:
    left = sorted(range(len(boxes)), key=lambda number: -float(scores[number]))
    kept: list[int] = []
    for number in left:
        if all(slow_iou(boxes[number], boxes[k]) <= most for k in kept):
            kept.append(number)
    return kept


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(0, 25), st.sampled_from([0.0, 0.1, 0.3, 0.7]))
def test_suppression_keeps_what_a_loop_over_all_pairs_keeps(seed, count, most):
    boxes = random_boxes(count, seed)
    scores = torch.from_numpy(np.random.default_rng(seed).integers(0, 8, count) / 8)  # with ties
    assert boxes3d.nms(boxes, scores, most).tolist() == slow_nms(boxes, scores, most)


def test_of_three_in_a_row_the_middle_one_takes_both_ends_with_it_only_if_it_is_best():
    row = torch.tensor([[0.0, 0, z, 4, 4, z + 4] for z in (0, 1.5, 3)])
    assert boxes3d.nms(row, torch.tensor([0.5, 0.9, 0.7]), 0.3).tolist() == [1]
    assert boxes3d.nms(row, torch.tensor([0.9, 0.5, 0.7]), 0.3).tolist() == [0, 2]


def test_coding_goes_there_and_back_and_means_what_it_says():
    boxes, anchors = random_boxes(30, 3), random_boxes(30, 4)
    torch.testing.assert_close(boxes3d.decoded(boxes3d.encoded(boxes, anchors), anchors), boxes)
    anchor = torch.tensor([[0.0, 0, 0, 2, 4, 8]])
    told = boxes3d.encoded(torch.tensor([[1.0, 2, 2, 5, 6, 10]]), anchor)
    # Centre (3, 4, 6) from (1, 2, 4); sides 4, 4, 8 from 2, 4, 8.
    torch.testing.assert_close(told, torch.tensor([[1.0, 0.5, 0.25, math.log(2), 0, 0]]))


def test_a_wild_answer_stays_finite():
    anchor = torch.tensor([[0.0, 0, 0, 2, 4, 8]])
    wild = boxes3d.decoded(torch.full((1, 6), 1e4), anchor)
    assert wild.isfinite().all()
    sides = boxes3d.decoded(torch.tensor([[0.0, 0, 0, 1e4, 0, 0]]), anchor)
    assert float(sides[0, 3] - sides[0, 0]) == pytest.approx(2 * 62.5)


def test_boxes_are_cut_off_at_the_volume():
    wild = torch.tensor([[-5.0, 1, 2, 50, 60, 3]])
    assert boxes3d.clipped(wild, (10, 20, 30)).tolist() == [[0, 1, 2, 10, 20, 3]]
