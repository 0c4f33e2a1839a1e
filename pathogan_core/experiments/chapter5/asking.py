"""Which boxes are asked for: those of training images, flipped, shifted and zoomed (thesis 5.2.2).

The thesis asks for "the annotation of training images with a random combination of horizontal/
vertical flipping, width/height shift up to 10%, and zooming up to 10%".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pathogan_core.boxes import areas, clipped
from pathogan_core.training.randomness import derive_seed

TRIES = 20


def asked_boxes(
    annotations: Sequence[np.ndarray],
    size: int,
    count: int,
    seed: int,
    *,
    shift: float = 0.1,
    zoom: float = 0.1,
    least_left: float = 0.5,
) -> tuple[list[np.ndarray], np.ndarray]:
    """Boxes for `count` images, each a transformed annotation drawn with replacement.

    Image i's boxes do not depend on `count`. Each flip has probability 1/2; one magnification,
    about the image's centre, is drawn from 1 - `zoom` to 1 + `zoom`, and two displacements from
    -`shift` to `shift` of the side: the thesis gives ranges and no distributions.

    Args:
        annotations: boxes ``[n, 4]`` of each training image, in pixels.
        size: rows and columns of an image.
        count: how many images.
        seed: of the draw.
        shift, zoom: largest, as shares.
        least_left: a box of which less remains in the image is left out (thesis silent); an image
            that loses all its boxes is drawn again.

    Returns:
        Boxes ``[n, 4]`` inside the image for each, and which annotation they come from ``[count]``.
    """
    found, sources = [], np.empty(count, np.int64)
    for number in range(count):
        rng = np.random.default_rng(derive_seed(seed, "asked", number))
        for _ in range(TRIES):
            source = int(rng.integers(len(annotations)))
            boxes = _moved(annotations[source], size, rng, shift, zoom, least_left)
            if len(boxes) or not len(annotations[source]):
                break
        found.append(boxes)
        sources[number] = source
    return found, sources


def _moved(
    boxes: np.ndarray,
    size: int,
    rng: np.random.Generator,
    shift: float,
    zoom: float,
    least_left: float,
) -> np.ndarray:
    flips = rng.random(2) < 0.5
    scale = 1 + zoom * rng.uniform(-1, 1)
    offset = size * shift * rng.uniform(-1, 1, 2)
    centred = boxes.reshape(-1, 2, 2) - size / 2  # [n, corner, (x, y)]
    centred = np.where(flips, -centred[:, ::-1], centred)
    moved = (centred * scale + size / 2 + offset).reshape(-1, 4)
    inside = clipped(moved, size, size)
    kept = areas(inside) >= max(least_left, 1e-6) * areas(moved)
    return inside[kept]
