"""Anchor boxes: the typical sizes of an arm's lesions, by k-means (Redmon & Farhadi 2017, 2018).

The distance of a box to a centre is 1 - IoU, both with the same corner: a Euclidean distance would
spend the clusters on large boxes. Published anchors are of photographs, in which objects are far
larger than metastases in a slice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pathogan_core.errors import PathoganError

Anchors = tuple[tuple[float, float], ...]

CLUSTERS = 9
RESTARTS = 10
MOST_ROUNDS = 300


def anchors_of(
    boxes: ArrayLike, scale: float = 1.0, clusters: int = CLUSTERS, seed: int = 0
) -> Anchors:
    """Width and height of `clusters` typical boxes, smallest area first, to 0.01 pixels.

    Of several clusterings that begin at other boxes (k-means++), the one whose boxes have the
    highest mean IoU with their centre.

    Args:
        boxes: ``[N, 4]``, all training boxes of an arm: xmin, ymin, xmax, ymax in pixels.
        scale: what a pixel of these images is in pixels of the network's input: 416 / 256 for
            slices of 256 px that are trained on at 416 px.
        clusters: 9 (paper): three for each of its three resolutions.
        seed: of the boxes to begin at.

    Raises:
        PathoganError: fewer boxes than clusters.
    """
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    if len(corners) < clusters:
        raise PathoganError(
            f"{len(corners)} boxes are too few for {clusters} anchors",
            where="anchors",
            remedy="add training images, or name the anchors",
        )
    shapes = scale * (corners[:, 2:] - corners[:, :2])
    rng = np.random.default_rng(seed)
    found = [_k_means(shapes, _distant(shapes, clusters, rng)) for _ in range(RESTARTS)]
    best = max(found, key=lambda centres: shape_iou(shapes, centres).max(1).mean())
    best = best[np.lexsort((best[:, 0], best.prod(1)))]
    return tuple((round(float(w), 2), round(float(h), 2)) for w, h in best)


def shape_iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """IoU ``[A, B]`` of widths and heights ``[A, 2]`` and ``[B, 2]``, laid corner on corner."""
    shared = np.minimum(a[:, None], b[None]).prod(-1)
    return shared / (a.prod(-1)[:, None] + b.prod(-1)[None] - shared)


def _distant(
    shapes: NDArray[np.float64], clusters: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Boxes to begin at: each further one with odds that grow with its distance to those chosen."""
    chosen = [int(rng.integers(len(shapes)))]
    while len(chosen) < clusters:
        odds = (1 - shape_iou(shapes, shapes[chosen]).max(1)) ** 2
        # Where all boxes are like a chosen one, some anchors will be equal: the first one learns.
        odds = odds if odds.any() else np.ones(len(shapes))
        chosen.append(int(rng.choice(len(shapes), p=odds / odds.sum())))
    return shapes[chosen]


def _k_means(shapes: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centres that are the mean of the boxes nearest to them; one without boxes stays."""
    nearest = np.full(len(shapes), -1)
    for _ in range(MOST_ROUNDS):
        previous, nearest = nearest, shape_iou(shapes, centres).argmax(1)
        if (nearest == previous).all():
            break
        centres = np.array([
            shapes[nearest == k].mean(0) if (nearest == k).any() else centre
            for k, centre in enumerate(centres)
        ])  # fmt: skip
    return centres
