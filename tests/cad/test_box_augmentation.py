"""Boxes move with their image, never leave it, and go when too little is left of them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pathogan_core.cad.box_augmentation import BoxAugmentation
from pathogan_core.errors import PathoganError

SIDE = 48
TOLERANCE = 0.25
"""Pixels: one edge of a square that was resampled once is known no better; their mean is."""
GEOMETRIC = BoxAugmentation(shift=0.3, zoom=0.4, gain=0, gamma=0, least_visible=1e-6)
STILL = BoxAugmentation(False, False, 0, 0, 0, 0)


def squares(boxes: torch.Tensor) -> torch.Tensor:
    """Black images, each with one white box of whole pixels."""
    places = torch.arange(SIDE) + 0.5
    inside = (places > boxes[:, None, :2].transpose(1, 2)) & (
        places < boxes[:, None, 2:].transpose(1, 2)
    )
    return 2 * (inside[:, 1, :, None] & inside[:, 0, None, :])[:, None].float() - 1


def whole_boxes(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    low = torch.randint(0, SIDE - 16, (count, 2), generator=generator)
    return torch.cat([low, low + torch.randint(8, 17, (count, 2), generator=generator)], 1).float()


def tight(images: torch.Tensor) -> torch.Tensor:
    """The box around what is white, from the mass and its centre along the middle of it."""
    grey = (images[:, 0] + 1) / 2
    ends = []
    for axis in (1, 2):  # profiles across, then down
        profile = grey.amax(axis)
        length = profile.sum(1)
        centre = (profile * (torch.arange(SIDE) + 0.5)).sum(1) / length
        ends.append((centre - length / 2, centre + length / 2))
    (x0, x1), (y0, y1) = ends
    return torch.stack([x0, y0, x1, y1], 1)


def test_a_square_and_its_box_move_together() -> None:
    boxes = whole_boxes(400)
    uniform = torch.rand(400, 9, generator=torch.Generator().manual_seed(1))
    images, moved, present = GEOMETRIC(
        squares(boxes), boxes[:, None], torch.ones(400, 1, dtype=torch.bool), uniform
    )
    assert present.float().mean() > 0.9
    # One that is hardly in the image any more is too faint for its edges to be read.
    shown = present[:, 0] & ((moved[:, 0, 2:] - moved[:, 0, :2]) > 2).all(1)
    difference = tight(images[shown]) - moved[shown, 0]
    assert difference.abs().max() < TOLERANCE
    assert difference.mean(0).abs().max() < 0.02
    cut = ((moved == 0) | (moved == SIDE)).any(2)[:, 0] & shown
    assert cut.sum() > 30  # among them are boxes cut off at a border


@pytest.mark.parametrize(
    ("options", "uniform", "expected"),
    [
        ((True, False, 0, 0), [0.4, 0.4], [38, 4, 46, 16]),
        ((False, True, 0, 0), [0.4, 0.4], [2, 32, 10, 44]),
        ((True, True, 0, 0), [0.4, 0.6], [38, 4, 46, 16]),
        # A draw of 1 shows what lies a quarter of the side further: content moves back.
        ((False, False, 0.25, 0), [0.9, 0.9, 0.5, 0.5, 0.5, 0.5, 0.0], [2, 16, 10, 28]),
        # Twice as large about the centre at (24, 24): -20 is cut off.
        ((False, False, 0, 0.5), [0.9, 0.9, 0.5, 0.5, 1.0], [0, 0, 3, 12]),
    ],
)
def test_moves_by_hand(options: tuple, uniform: list[float], expected: list[float]) -> None:
    augmentation = BoxAugmentation(*options, 0, 0, least_visible=1e-6)
    draws = torch.full((1, 9), 0.5)
    draws[0, : len(uniform)] = torch.tensor(uniform)
    box = torch.tensor([[[2.0, 4, 10, 16]]])
    _, moved, present = augmentation(squares(box[0]), box, torch.tensor([[True]]), draws)
    assert present.item()
    assert moved[0, 0].tolist() == pytest.approx(expected, abs=1e-4)


@st.composite
def any_boxes(draw) -> list[float]:
    ends = st.floats(0, SIDE, width=32)
    xs, ys = (sorted(draw(st.tuples(ends, ends).filter(lambda e: e[0] != e[1]))) for _ in "xy")
    return [xs[0], ys[0], xs[1], ys[1]]


@settings(deadline=None, max_examples=150)
@given(
    st.lists(any_boxes(), min_size=1, max_size=4),
    st.lists(st.floats(0, 1, exclude_max=True, width=32), min_size=9, max_size=9),
    st.floats(0, 1),
    st.floats(0, 0.9),
    st.floats(0.01, 1),
)
def test_no_box_leaves_the_image(boxes, draws, shift: float, zoom: float, least: float) -> None:
    augmentation = BoxAugmentation(True, True, shift, zoom, 0, 0, least)
    given_boxes = torch.tensor([boxes])
    present = torch.ones(given_boxes.shape[:2], dtype=torch.bool)
    images = torch.zeros(1, 1, SIDE, SIDE)
    _, moved, present = augmentation(images, given_boxes, present, torch.tensor([draws]))
    kept = moved[present]
    assert ((kept >= 0) & (kept <= SIDE)).all()
    assert (kept[:, 2:] >= kept[:, :2]).all()
    assert not moved[~present].any()


@pytest.mark.parametrize(("least", "stays"), [(0.74, True), (0.76, False)])
def test_a_box_goes_when_less_than_its_share_is_left(least: float, stays: bool) -> None:
    """Moved by 12 pixels to the left, 3/4 of this box of 16 pixels from column 8 are left."""
    augmentation = BoxAugmentation(False, False, 0.25, 0, 0, 0, least)
    draws = torch.full((1, 9), 0.5)
    draws[0, 5] = 1.0
    box = torch.tensor([[[8.0, 10, 24, 26]]])
    _, moved, present = augmentation(
        torch.zeros(1, 1, SIDE, SIDE), box, torch.tensor([[True]]), draws
    )
    assert present.item() is stays
    assert moved[0, 0].tolist() == pytest.approx([0, 10, 12, 26] if stays else [0] * 4)


def test_zero_ranges_change_nothing() -> None:
    images = torch.rand(5, 1, SIDE, SIDE) * 2 - 1
    boxes = torch.rand(5, 3, 4).cumsum(-1) * 10
    present = torch.rand(5, 3) < 0.7
    same_images, same_boxes, same_present = STILL(images, boxes, present, torch.rand(5, 9))
    assert torch.equal(same_images, images)
    assert torch.equal(same_boxes, boxes * present[..., None])
    assert torch.equal(same_present, present)


def test_what_is_no_box_stays_none() -> None:
    absent = torch.zeros(3, 2, dtype=torch.bool)
    images, boxes, present = BoxAugmentation()(
        torch.zeros(3, 1, SIDE, SIDE), torch.zeros(3, 2, 4), absent, torch.rand(3, 9)
    )
    assert images.isfinite().all()
    assert not boxes.any()
    assert not present.any()


def test_grey_is_multiplied_and_bent_and_black_stays() -> None:
    augmentation = BoxAugmentation(False, False, 0, 0, gain=0.5, gamma=1.0)
    draws = torch.full((3, 9), 0.5)
    draws[0, 7], draws[1, 7], draws[1, 8] = 0.0, 1.0, 1.0
    grey = torch.tensor([0.0, 0.25, 0.5, 1.0])
    images = (2 * grey - 1).view(1, 1, 1, 4).expand(3, 1, 4, 4)
    got, *_ = augmentation(images, torch.zeros(3, 1, 4), torch.zeros(3, 1, dtype=torch.bool), draws)
    expected = torch.stack([0.5 * grey, (1.5 * grey**2).clamp(max=1), grey])
    torch.testing.assert_close((got[:, 0, 0] + 1) / 2, expected)


def test_an_image_is_decided_by_its_own_draw() -> None:
    images, boxes = torch.rand(6, 1, SIDE, SIDE) * 2 - 1, whole_boxes(6)[:, None]
    present, uniform = torch.ones(6, 1, dtype=torch.bool), torch.rand(6, 9)
    whole = BoxAugmentation()(images, boxes, present, uniform)
    alone = BoxAugmentation()(images[2:3], boxes[2:3], present[2:3], uniform[2:3])
    for one, all_of_them in zip(alone, whole, strict=True):
        torch.testing.assert_close(one, all_of_them[2:3])


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"shift": -0.1}, "shift: is -0.1"),
        ({"zoom": 1.0}, "zoom: 1.0 would shrink an image to nothing"),
        ({"gain": 1.0}, "gain: is 1.0; give 0 or more, below 1"),
        ({"gamma": -1.0}, "gamma: is -1.0"),
        ({"gamma": math.inf}, "gamma: is inf"),
        ({"least_visible": 0.0}, "least_visible: is 0.0; give more than 0, 1 at most"),
    ],
)
def test_impossible_ranges_are_one_line(changes: dict, line: str) -> None:
    with pytest.raises(PathoganError, match=line):
        BoxAugmentation(**changes)
