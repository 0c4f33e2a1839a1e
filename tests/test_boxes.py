"""Boxes against closed forms, torchvision's IoU, and drawing against a fine grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import box_iou

from pathogan_core import boxes
from pathogan_core.errors import PathoganError


def random_boxes(seed: int, count: int, size: float = 20) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.uniform(0, size, (count, 2, 2)), axis=1)
    return corners.reshape(count, 4)


def test_a_pixel_is_a_unit_square_and_nothing_is_added_to_widths() -> None:
    assert boxes.areas([[3, 7, 4, 8], [0, 0, 2.5, 2]]).tolist() == [1, 5]


def test_iou_of_hand_worked_pairs() -> None:
    one = [[0, 0, 2, 2]]
    others = [[1, 1, 3, 3], [0, 0, 2, 2], [2, 0, 3, 1], [0.5, 0.5, 1.5, 1.5], [5, 5, 6, 6]]
    assert boxes.iou(one, others)[0].tolist() == [1 / 7, 1, 0, 1 / 4, 0]


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_iou_is_torchvisions(seed: int) -> None:
    a, b = random_boxes(seed, 7), random_boxes(seed + 1, 5)
    expected = box_iou(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    np.testing.assert_allclose(boxes.iou(a, b), expected, atol=1e-12)
    np.testing.assert_array_equal(boxes.iou(a, b), boxes.iou(b, a).T)


def test_no_boxes_are_an_answer_everywhere() -> None:
    none = np.zeros((0, 4))
    assert boxes.areas(none).shape == (0,)
    assert boxes.iou(none, [[0, 0, 1, 1]]).shape == (0, 1)
    assert boxes.clipped([], 4, 4).shape == (0, 4)
    assert not boxes.drawn([], 4).any()
    boxes.check(none, "t.csv", 4, 4)


def test_a_box_without_area_overlaps_nothing_not_even_itself() -> None:
    flat = [[1, 1, 1, 3]]
    assert boxes.iou(flat, flat).tolist() == [[0]]


def test_clipping_cuts_each_side_at_its_own_border_and_drops_nothing() -> None:
    given_boxes = [[-1, -2, 50, 60], [3, 4, 5, 6], [30, 30, 40, 40]]
    expected = [[0, 0, 10, 20], [3, 4, 5, 6], [10, 20, 10, 20]]
    assert boxes.clipped(given_boxes, width=10, height=20).tolist() == expected


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_one_box_is_drawn_with_its_area_and_each_pixel_with_its_share(seed: int) -> None:
    box = random_boxes(seed, 1, size=9)
    image = boxes.drawn(box, 9)
    assert image.dtype == np.float32
    assert image.sum() == pytest.approx(boxes.areas(box)[0], rel=1e-5)
    rows, columns = np.mgrid[:9, :9]
    pixels = np.stack([columns, rows, columns + 1, rows + 1], axis=-1).reshape(-1, 4)
    shared = boxes.iou(box, pixels)[0] * (1 + boxes.areas(box)[0])
    shared /= 1 + boxes.iou(box, pixels)[0]  # IoU = s / (a + 1 - s), solved for s
    np.testing.assert_allclose(image.ravel(), shared, atol=1e-6)


def test_of_several_boxes_the_one_that_covers_most_counts() -> None:
    several = random_boxes(3, 4, size=8)
    expected = np.max([boxes.drawn(box[None], 8) for box in several], axis=0)
    np.testing.assert_array_equal(boxes.drawn(several, 8), expected)


def test_rows_are_y_and_columns_are_x() -> None:
    image = boxes.drawn([[5, 1, 8, 2]], 10)
    assert np.argwhere(image).tolist() == [[1, 5], [1, 6], [1, 7]]


def test_what_leaves_the_image_is_not_drawn() -> None:
    assert boxes.drawn([[-5, -5, 20, 20]], 4).tolist() == np.ones((4, 4)).tolist()
    assert not boxes.drawn([[6, 6, 9, 9]], 4).any()


GOOD = [1.0, 1.0, 3.0, 3.0]
BAD = {
    "nan": ([1, np.nan, 3, 3], "not finite"),
    "infinite": ([1, 1, np.inf, 3], "not finite"),
    "swapped x": ([3, 1, 1, 3], "swapped corners; give xmin, ymin, xmax, ymax"),
    "swapped y": ([1, 3, 3, 1], "swapped corners"),
    "no width": ([1, 1, 1, 3], "no area"),
    "no height": ([1, 3, 3, 3], "no area"),
    "too large for numbers": ([0, 0, 1e200, 1e200], "beyond any number"),
    "left of the image": ([-0.5, 1, 3, 3], "leaves the image"),
    "above the image": ([1, -0.5, 3, 3], "leaves the image"),
    "right of the image": ([1, 1, 10.5, 3], "leaves the image"),
    "below the image": ([1, 1, 3, 20.5], r"leaves the image \(width 10, height 20\)"),
}


@pytest.mark.parametrize(("box", "message"), BAD.values(), ids=BAD.keys())
def test_a_box_that_means_nothing_is_named_in_one_line(box: list, message: str) -> None:
    with pytest.raises(PathoganError, match=f"^t.csv: box 1 .*{message}") as caught:
        boxes.check([GOOD, box, GOOD], "t.csv", width=10, height=20)
    assert "\n" not in str(caught.value)


def test_without_a_size_only_the_box_itself_is_judged() -> None:
    boxes.check([[-5, -5, 1000, 1000]], "t.csv")
    boxes.check([[-5, 0, 1000, 20]], "t.csv", height=20)
    with pytest.raises(PathoganError, match="leaves"):
        boxes.check([[-5, 0, 1000, 21]], "t.csv", height=20)


def test_a_box_may_fill_the_image() -> None:
    boxes.check([[0, 0, 10, 20]], "t.csv", width=10, height=20)
    assert boxes.first_problem([[0, 0, 10, 20]], width=10, height=20) is None


def test_a_table_of_another_shape_is_refused() -> None:
    with pytest.raises(PathoganError, match="shape 1x5"):
        boxes.check([[0, 0, 1, 1, 1]], "t.csv")


def test_boxes_in_a_volume_are_measured_and_checked_by_the_same_rules() -> None:
    one = [[0, 0, 0, 2, 2, 2]]
    others = [[1, 1, 1, 3, 3, 3], [0, 0, 0, 2, 2, 2], [2, 0, 0, 3, 1, 1], [0, 0, 0, 1, 2, 2]]
    assert boxes.areas([[3, 7, 1, 4, 8, 2], [0, 0, 0, 2.5, 2, 4]]).tolist() == [1, 20]
    assert boxes.iou(one, others)[0].tolist() == [1 / 15, 1, 0, 1 / 2]
    boxes.check(others, "t.csv")
    boxes.check(np.zeros((0, 6)), "t.csv")
    with pytest.raises(PathoganError, match=r"box 0 .* swapped corners; give zmin, ymin, xmin"):
        boxes.check([[0, 3, 0, 2, 2, 2]], "t.csv")
    with pytest.raises(PathoganError, match="swapped corners"):  # twice: the volume is positive
        boxes.check([[3, 3, 0, 2, 2, 2]], "t.csv")
    with pytest.raises(PathoganError, match="boxes have the shape 1x5"):
        boxes.check([[0, 0, 0, 1, 1]], "t.csv")
