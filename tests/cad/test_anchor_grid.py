"""Which prediction answers for a box, and what comes out when it says what it should."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pathogan_core.boxes import iou
from pathogan_core.cad.anchor_grid import AnchorGrid
from pathogan_core.cad.yolov3 import COCO_ANCHORS

TOLERANCE = 2e-3
"""Pixels in an image of 416 or 608, in float32."""
SMALL = ((4, 4), (6, 8), (10, 7), (14, 14), (18, 24), (30, 20), (40, 40), (50, 80), (90, 60))


def random_boxes(size: int, count: int, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    shapes = np.exp(rng.uniform(np.log(2), np.log(size), (count, 2)))
    low = rng.uniform(0, 1, (count, 2)) * (size - shapes)
    return torch.tensor(np.hstack([low, low + shapes]), dtype=torch.float32)


def slow_responsible(box: np.ndarray, size: int, anchors) -> int:
    """The rule in words, one prediction after another in the order of the network's output."""
    centre, shape = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    centred = [np.array([[-w / 2, -h / 2, w / 2, h / 2]]) for w, h in (*anchors, shape)]
    best = max(range(9), key=lambda k: iou(centred[k], centred[-1])[0, 0])
    number = 0
    for level, stride in enumerate((8, 16, 32)):
        for row in range(size // stride):
            for column in range(size // stride):
                for anchor in range(3 * level, 3 * level + 3):
                    low = np.array([column, row]) * stride
                    if anchor == best and ((low <= centre) & (centre < low + stride)).all():
                        return number
                    number += 1
    raise AssertionError("no prediction answers")


@pytest.mark.parametrize("anchors", [COCO_ANCHORS, SMALL])
def test_the_responsible_prediction_is_the_rules(anchors) -> None:
    boxes = random_boxes(128, 60)
    found = AnchorGrid(128, anchors).responsible(boxes)
    expected = [slow_responsible(box, 128, anchors) for box in boxes.double().numpy()]
    assert found.tolist() == expected


@pytest.mark.parametrize("anchors", [COCO_ANCHORS, SMALL])
@pytest.mark.parametrize("size", [128, 416, 608])
def test_boxes_come_back_from_what_their_predictions_should_say(size: int, anchors) -> None:
    grid, boxes = AnchorGrid(size, anchors), random_boxes(size, 200)
    number = grid.responsible(boxes)
    within, logarithms = grid.encode(boxes, number)
    assert ((within >= 0) & (within <= 1)).all()
    raw = torch.zeros(len(grid), 5)
    raw[number, :4] = torch.cat([within.logit(), logarithms], 1)
    alone = number.bincount()[number] == 1  # no other box is answered for by the same prediction
    assert alone.sum() >= 20
    decoded = grid.decode(raw)[number]
    torch.testing.assert_close(decoded[alone], boxes[alone], atol=TOLERANCE, rtol=0)


def test_length_is_that_of_three_grids_of_three_anchors() -> None:
    assert len(AnchorGrid(416, COCO_ANCHORS)) == 10_647  # 3 * (52^2 + 26^2 + 13^2)


def test_zeros_are_anchors_in_the_middle_of_their_cells() -> None:
    boxes = AnchorGrid(64, SMALL).decode(torch.zeros(3 * (64 + 16 + 4), 5))
    shapes = boxes[:, 2:] - boxes[:, :2]
    torch.testing.assert_close(shapes[:3], torch.tensor(SMALL[:3]).float())
    torch.testing.assert_close(shapes[3 * 64 : 3 * 65], torch.tensor(SMALL[3:6]).float())
    torch.testing.assert_close(shapes[-3:], torch.tensor(SMALL[6:]).float())
    centres = (boxes[:, 2:] + boxes[:, :2]) / 2
    assert centres[:4].tolist() == [[4, 4], [4, 4], [4, 4], [12, 4]]  # columns first, then rows
    assert centres[3 * 8].tolist() == [4, 12]
    assert centres[-1].tolist() == [48, 48]


@pytest.mark.parametrize(("tw", "th"), [(2.0, -2.0), (-3.0, 1.5), (0.0, 0.0)])
def test_sizes_are_exponentials_and_no_sigmoids(tw: float, th: float) -> None:
    """A sigmoid would keep every box smaller than its anchor."""
    grid = AnchorGrid(32, SMALL)
    raw = torch.zeros(len(grid), 5)
    raw[:, 2], raw[:, 3] = tw, th
    shapes = grid.decode(raw)[:, 2:] - grid.decode(raw)[:, :2]
    assert shapes[0].tolist() == pytest.approx([4 * math.exp(tw), 4 * math.exp(th)], rel=1e-5)


def test_a_box_three_times_its_anchor_is_the_logarithm_of_three() -> None:
    grid = AnchorGrid(608, SMALL)
    box = torch.tensor([[100.0, 150, 370, 330]])
    _, logarithms = grid.encode(box, grid.responsible(box))
    assert logarithms[0].tolist() == pytest.approx([math.log(3)] * 2, rel=1e-5)


@pytest.mark.parametrize("far", [-40.0, 40.0])
def test_centres_never_leave_their_cell(far: float) -> None:
    grid = AnchorGrid(64, SMALL)
    centres = grid.decode(torch.full((len(grid), 5), 0.0) + torch.tensor([far, far, 0, 0, 0]))
    middle = grid.decode(torch.zeros(len(grid), 5))
    moved = ((centres - middle)[:, :2]).abs()
    assert moved.max().item() == pytest.approx(16, rel=1e-5)
    assert moved.min().item() == pytest.approx(4, rel=1e-5)


def test_boxes_at_the_last_pixel_have_a_cell() -> None:
    grid = AnchorGrid(64, SMALL)
    corner = torch.tensor([[63.9999, 63.9999, 64, 64], [0, 0, 64, 64], [0, 0, 1e-3, 1e-3]])
    assert grid.responsible(corner).tolist()[0] == 3 * 63
    assert ((grid.responsible(corner) >= 0) & (grid.responsible(corner) < len(grid))).all()
