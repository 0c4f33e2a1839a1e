"""Boxes on tiles, and contrasts by size and place: what is drawn where."""

from __future__ import annotations

import numpy as np
import pytest

from pathogan_core.figures.boxed_images import boxed_images
from pathogan_core.figures.placement import ROWS, box_contrasts

SIZE = 16


def test_a_box_is_drawn_on_its_own_tile_in_tiles_from_the_upper_left_corner() -> None:
    images = np.zeros((5, SIZE, SIZE), np.uint8)
    boxes = [np.empty((0, 4))] * 5
    boxes[3] = np.array([[4.0, 8, 12, 16]])  # second row, second tile of two
    boxes[4] = np.array([[0.0, 0, 1, 1]])  # fills no row: left out with its image
    figure = boxed_images(images, {"asked": boxes}, 2, alt="Four tiles with a box on one.")
    _, outline = figure.data
    assert outline.name == "asked"
    x, y = ([at for at in values if at is not None] for values in (outline.x, outline.y))
    assert (min(x), max(x)) == (1.25, 1.75)
    assert (min(y), max(y)) == (1.5, 2.0)
    assert (x[0], y[0]) == (x[-1], y[-1])
    assert figure.layout.meta["alt"] == "Four tiles with a box on one."


def test_kinds_have_colours_of_their_own() -> None:
    images, boxes = np.zeros((1, SIZE, SIZE), np.uint8), [np.array([[1.0, 1, 4, 4]])]
    figure = boxed_images(images, {"a": boxes, "b": boxes}, 1, alt="One tile with two boxes.")
    colours = [trace.line.color for trace in figure.data[1:]]
    assert len(set(colours)) == 2


def metric(value: float) -> dict:
    return {"value": value, "interval": [value - 1, value + 2], "n": 7}


def test_each_contrast_lies_in_its_row_with_its_interval() -> None:
    figure = box_contrasts(
        {"one": {"contrast": metric(5.0), "contrast_large": metric(8.0)}, "two": {}}
    )
    first, second = figure.data
    rows = list(ROWS)
    assert [round(y) for y in first.y] == [rows.index("contrast"), rows.index("contrast_large")]
    assert list(first.x) == [5.0, 8.0]
    assert list(first.error_x.array) == pytest.approx([2.0, 2.0])
    assert list(first.error_x.arrayminus) == pytest.approx([1.0, 1.0])
    assert len(second.x) == 0
    assert "one +5.0" in figure.layout.meta["alt"]
