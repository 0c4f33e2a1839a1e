"""Boxes that are asked for: inside the image, of the training annotations, as far as is allowed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathogan_core.boxes import areas
from pathogan_core.experiments.chapter5.asking import asked_boxes

SIZE = 64
ANNOTATIONS = [
    np.array([[10.0, 20, 16, 24]]), np.array([[30.0, 30, 40, 46], [50, 8, 58, 12]]),
]  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 0.4), st.floats(0, 0.4))
def test_every_box_lies_in_the_image_and_has_most_of_its_area(seed, shift, zoom):
    found, sources = asked_boxes(ANNOTATIONS, SIZE, 6, seed, shift=shift, zoom=zoom)
    for boxes, source in zip(found, sources, strict=True):
        assert 1 <= len(boxes) <= len(ANNOTATIONS[source])
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2:] <= SIZE).all()
        least = areas(ANNOTATIONS[source]).min() * (1 - zoom) ** 2 / 2
        assert (areas(boxes) >= least - 1e-9).all()


def test_without_shift_and_zoom_only_the_four_flips_remain():
    found, sources = asked_boxes(ANNOTATIONS, SIZE, 200, 3, shift=0, zoom=0)
    seen = {tuple(boxes[0].round(9)) for boxes, s in zip(found, sources, strict=True) if s == 0}
    x, y = (10.0, 16.0), (20.0, 24.0)
    mirrored = [(SIZE - 16.0, SIZE - 10.0), (SIZE - 24.0, SIZE - 20.0)]
    expected = {
        (left, top, right, bottom)
        for left, right in (x, mirrored[0])
        for top, bottom in (y, mirrored[1])
    }
    assert seen == expected


def test_boxes_of_an_image_move_together_and_by_no_more_than_is_allowed():
    found, sources = asked_boxes(ANNOTATIONS, SIZE, 300, 5, shift=0.1, zoom=0.1)
    shifts, zooms = [], []
    for boxes, source in zip(found, sources, strict=True):
        if source != 1 or len(boxes) < 2 or boxes.min() == 0 or boxes.max() == SIZE:
            continue  # cut off at an edge
        scale = (boxes[:, 2:] - boxes[:, :2]) / (ANNOTATIONS[1][:, 2:] - ANNOTATIONS[1][:, :2])
        assert scale == pytest.approx(scale[0, 0])  # one magnification
        zooms.append(scale[0, 0])
        middle = lambda b: (b[:, :2] + b[:, 2:]) / 2 - SIZE / 2  # noqa: E731
        offset = np.abs(middle(boxes)) - scale[0, 0] * np.abs(middle(ANNOTATIONS[1]))
        shifts.append(np.abs(offset).max() / SIZE)
    assert 0.9 <= min(zooms) < 0.92
    assert 1.08 < max(zooms) <= 1.1
    assert 0.08 < max(shifts) <= 0.1 + 1e-9


def test_an_images_boxes_do_not_depend_on_how_many_are_asked_for():
    many, _ = asked_boxes(ANNOTATIONS, SIZE, 30, 1)
    few, _ = asked_boxes(ANNOTATIONS, SIZE, 4, 1)
    for one, other in zip(few, many[:4], strict=True):
        assert np.array_equal(one, other)
    others, _ = asked_boxes(ANNOTATIONS, SIZE, 4, 2)
    assert any(not np.array_equal(a, b) for a, b in zip(few, others, strict=True))


def test_all_annotations_are_asked_for_about_equally_often():
    _, sources = asked_boxes(ANNOTATIONS, SIZE, 400, 0)
    assert 150 < int((sources == 0).sum()) < 250
