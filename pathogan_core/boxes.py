"""Boxes in an image: one convention for whatever makes, draws, finds or judges them.

Boxes are `[N, 4]` with the columns xmin, ymin, xmax, ymax in pixels, in continuous coordinates: the
pixel in row r and column c covers [c, c + 1) x [r, r + 1), so that a box around that one pixel is
(c, r, c + 1, r + 1) and a box's width is xmax - xmin, without a pixel added.

Sizes, overlap and checks take boxes in a volume just as well: `[N, 6]` with the columns zmin, ymin,
xmin, zmax, ymax, xmax. Either way one corner comes before the other.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pathogan_core.errors import PathoganError

COLUMNS = ("xmin", "ymin", "xmax", "ymax")
VOLUME_COLUMNS = ("zmin", "ymin", "xmin", "zmax", "ymax", "xmax")


def areas(boxes: ArrayLike) -> NDArray[np.float64]:
    """Square pixels (cubic ones) `[N]` of boxes `[N, 4]` (`[N, 6]`) whose corners are in order."""
    low, high = _corners(boxes)
    return (high - low).prod(axis=0)


def iou(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Intersection over union `[A, B]` in [0, 1] of every box of `a` with every one of `b`.

    Both are in an image, or both in a volume. Boxes that only touch have 0, and so has a box
    without area with any other.
    """
    (low, high), (other_low, other_high) = _corners(a), _corners(b)
    overlap = np.minimum(high[:, :, None], other_high[:, None]) - np.maximum(
        low[:, :, None], other_low[:, None]
    )
    shared = overlap.clip(min=0).prod(axis=0)
    union = areas(a)[:, None] + areas(b)[None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)


def clipped(boxes: ArrayLike, width: float, height: float) -> NDArray[np.float64]:
    """Boxes `[N, 4]` cut off at the borders of an image; one outside it keeps no area, but stays.

    Args:
        boxes: `[N, 4]`.
        width, height: of the image, in pixels.
    """
    return _columns(boxes).T.clip(0, [width, height, width, height])


def drawn(boxes: ArrayLike, size: int) -> NDArray[np.float32]:
    """How much of each pixel of a square image the boxes cover: `[size, size]` in [0, 1].

    A box covers the product of what it covers of the pixel's width and of its height; of several
    boxes the one that covers most counts, so that boxes that overlap are no brighter than one.

    Args:
        boxes: `[N, 4]`; parts outside the image are not drawn.
        size: rows and columns of the image.
    """
    xmin, ymin, xmax, ymax = _columns(boxes)
    image = np.zeros((size, size))
    for across, down in zip(_covered(xmin, xmax, size), _covered(ymin, ymax, size), strict=True):
        np.maximum(image, np.outer(down, across), out=image)
    return image.astype(np.float32)


def check(
    boxes: ArrayLike,
    where: str | Path,
    width: float | None = None,
    height: float | None = None,
) -> None:
    """Refuse boxes that mean nothing.

    Args:
        boxes: `[N, 4]` or `[N, 6]`; none is allowed.
        where: whose boxes these are: the file or parameter that the error names.
        width, height: of the image in pixels, if known: then boxes, `[N, 4]`, lie inside it.

    Raises:
        PathoganError: neither four columns nor six, or a box with a corner that is not finite,
            swapped corners, no area (or an infinite one), or parts outside the image; the first
            such box is named by its number, from 0.
    """
    array = np.asarray(boxes, dtype=np.float64)
    if array.size and (array.ndim != 2 or array.shape[1] not in (4, 6)):
        problem = f"boxes have the shape {'x'.join(map(str, array.shape))}"
        raise PathoganError(problem, where=where, remedy=f"give {', '.join(COLUMNS)} for each box")
    found = first_problem(array, width, height)
    if found is not None:
        number, problem, remedy = found
        raise PathoganError(f"box {number} {problem}", where=where, remedy=remedy)


def first_problem(
    boxes: ArrayLike, width: float | None = None, height: float | None = None
) -> tuple[int, str, str] | None:
    """The first box that means nothing: its number, what is wrong, and the remedy.

    None if there is no such box. The rules are those of `check`.
    """
    low, high = _corners(boxes)
    columns = np.concatenate([low, high])
    with np.errstate(invalid="ignore", over="ignore"):
        area = (high - low).prod(axis=0)
        outside = _outside(low, high, width, height)
    rules = (
        (~np.isfinite(columns).all(axis=0), "has a corner that is not finite", "give numbers"),
        (
            (high < low).any(axis=0),
            "has swapped corners",
            f"give {', '.join(COLUMNS if len(columns) == 4 else VOLUME_COLUMNS)} in this order",
        ),
        (area == 0, "has no area", "the box around the pixel in row r, column c is c, r, c+1, r+1"),
        (~np.isfinite(area), "has an area beyond any number", "give corners in pixels"),
        (
            outside,
            f"leaves the image (width {width}, height {height})",
            "clip boxes to the image, and give corners in its pixels",
        ),
    )  # fmt: skip
    broken = np.stack([rule[0] for rule in rules])
    if not broken.any():
        return None
    number = int(np.flatnonzero(broken.any(axis=0))[0])
    _, problem, remedy = rules[int(np.flatnonzero(broken[:, number])[0])]
    corners = ", ".join(f"{corner:g}" for corner in columns[:, number])
    return number, f"({corners}) {problem}", remedy


def _outside(
    low: NDArray, high: NDArray, width: float | None, height: float | None
) -> NDArray[np.bool_]:
    """Which boxes `[N]` have parts outside an image, along the axes whose size is known."""
    sizes = [(axis, size) for axis, size in enumerate((width, height)) if size is not None]
    outside = [(low[axis] < 0) | (high[axis] > size) for axis, size in sizes]
    return np.any(outside, axis=0) if outside else np.zeros(low.shape[1], dtype=bool)


def _covered(low: NDArray, high: NDArray, size: int) -> NDArray[np.float64]:
    """How much of each of `size` unit cells lies between each `low` and `high`: `[N, size]`."""
    cells = np.arange(size)
    ends = np.minimum(high[:, None], cells + 1), np.maximum(low[:, None], cells)
    return (ends[0] - ends[1]).clip(0, 1)


def _corners(boxes: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper corners, `[2, N]` each in an image, `[3, N]` in a volume."""
    array = np.asarray(boxes, dtype=np.float64)
    columns = array.T if array.ndim == 2 and array.shape[1] == 6 else _columns(array)
    low, high = np.split(columns, 2)
    return low, high


def _columns(boxes: ArrayLike) -> NDArray[np.float64]:
    """The four columns `[4, N]`; an empty list is no boxes."""
    return np.asarray(boxes, dtype=np.float64).reshape(-1, 4).T
