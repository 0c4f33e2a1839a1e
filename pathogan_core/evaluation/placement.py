"""Whether lesions lie where boxes ask for them: how much brighter a box is than what is around it.

Metastases enhance, so that a box that holds one is brighter than the ring about it. A box without
one may be too (it may hold a vessel), which is why the same boxes are also measured where nothing
was asked for: in images that were asked for other boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pathogan_core.boxes import areas, drawn
from pathogan_core.evaluation.metric import Metric, percentile_interval

REVISION = 1
"""Raised when a change of code changes the measures."""
WHITE = 255
BRAIN = 0.1 * WHITE
"""Darker pixels are background (or fluid) and are looked at neither in a box nor around it."""
LEAST_RING = 2.0  # pixels: width of the ring about the smallest boxes
RESAMPLES = 2000
INTERVAL_METHOD = "bootstrap over images, 95%"
UNIT = "% of white"
SIZES = ("small", "medium", "large")
PLACES = ("central", "between", "peripheral")


@dataclass(frozen=True, eq=False)
class BoxContrasts:
    """One row for each box of a set of images.

    Args:
        image: int ``[B]``, the image that each box lies in.
        contrast: mean brightness in the box minus that of the ring about it, in % of white; NaN
            where either shows no brain.
        area: of the box, as a share of the image.
        eccentricity: distance of its centre from the image's, in half sides.
    """

    image: NDArray[np.int64]
    contrast: NDArray[np.float64]
    area: NDArray[np.float64]
    eccentricity: NDArray[np.float64]


def box_contrasts(images: NDArray[np.uint8], boxes: Sequence[NDArray]) -> BoxContrasts:
    """How each box stands out from its surroundings.

    The ring reaches half a box's side beyond it, and leaves out what any box of the image covers.

    Args:
        images: uint8 ``[N, S, S]``.
        boxes: of each image, ``[n, 4]`` in pixels.
    """
    rows = [
        _of_image(image, np.reshape(some, (-1, 4)))
        for image, some in zip(images, boxes, strict=True)
    ]
    counts = [len(row) for row in rows]
    stacked = np.concatenate(rows) if rows else np.empty((0, 3))
    contrast, area, eccentricity = stacked.T
    return BoxContrasts(np.repeat(np.arange(len(rows)), counts), contrast, area, eccentricity)


def _of_image(image: NDArray[np.uint8], boxes: NDArray) -> NDArray[np.float64]:
    """Columns contrast, area, eccentricity for the boxes of one image."""
    size = image.shape[0]
    brain = image >= BRAIN
    free = brain & (drawn(boxes, size) == 0)
    rows = []
    for box in boxes:
        sides = box[2:] - box[:2]
        margin = np.maximum(sides / 2, LEAST_RING)
        ring = drawn([[*(box[:2] - margin), *(box[2:] + margin)]], size) * free
        inside = drawn([box], size) * brain
        difference = _mean(image, inside) - _mean(image, ring)
        away = np.linalg.norm((box[:2] + box[2:]) / size - 1)
        rows.append((100 * difference / WHITE, areas([box])[0] / size**2, away))
    return np.array(rows, np.float64).reshape(-1, 3)


def _mean(image: NDArray, weights: NDArray) -> float:
    total = weights.sum()
    return float((image * weights).sum() / total) if total > 0 else np.nan


def tercile_names(values: NDArray[np.float64], names: Sequence[str]) -> NDArray[np.str_]:
    """Which third each value lies in, by the terciles of all of them."""
    edges = np.quantile(values, [1 / 3, 2 / 3])
    return np.asarray(names)[np.searchsorted(edges, values, side="left")]


def placement(
    images: NDArray[np.uint8],
    asked: Sequence[NDArray],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Metric]:
    """Contrast of the boxes that were asked for: of all, by size, by place, and where none was.

    Args:
        images: uint8 ``[N, S, S]``, image i was asked for with the boxes ``asked[i]``.
        asked: boxes of each image, ``[n, 4]`` in pixels.
        resamples, seed: of the bootstrap over images.

    Returns:
        ``contrast``; ``contrast_small``, ``_medium``, ``_large`` by thirds of the boxes' area;
        ``contrast_central``, ``_between``, ``_peripheral`` by thirds of their distance from the
        image's centre; ``contrast_not_asked``: of the same boxes in other images, those half the
        set further on, which were asked for other boxes. What no box is left for is missing.
    """
    found = box_contrasts(images, asked)
    half = len(asked) // 2  # neighbours may be slices of one patient
    shifted = box_contrasts(images, [*asked[half:], *asked[:half]])
    groups: dict[str, tuple[BoxContrasts, NDArray[np.bool_]]] = {
        "contrast": (found, np.ones(len(found.image), bool)),
        "contrast_not_asked": (shifted, np.ones(len(shifted.image), bool)),
    }
    for values, names in ((found.area, SIZES), (found.eccentricity, PLACES)):
        thirds = tercile_names(values, names) if len(values) else np.empty(0, str)
        groups |= {f"contrast_{name}": (found, thirds == name) for name in names}
    return {
        name: metric
        for name, (contrasts, chosen) in groups.items()
        if (metric := mean_contrast(contrasts, chosen, len(images), resamples, seed)) is not None
    }


def mean_contrast(
    contrasts: BoxContrasts,
    chosen: NDArray[np.bool_],
    images: int,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Metric | None:
    """Mean over the chosen boxes that show brain, from resampled images; None without one."""
    valid = chosen & np.isfinite(contrasts.contrast)
    if not valid.any():
        return None
    owner, values = contrasts.image[valid], contrasts.contrast[valid]
    sums = np.bincount(owner, values, images)
    counts = np.bincount(owner, minlength=images)
    rng = np.random.default_rng(seed)
    draws = rng.integers(images, size=(resamples, images))
    total, boxes = sums[draws].sum(1), counts[draws].sum(1)
    means = total[boxes > 0] / boxes[boxes > 0]
    return Metric(
        value=float(values.mean()),
        n=len(values),
        interval=percentile_interval(means),
        interval_method=INTERVAL_METHOD,
        unit=UNIT,
    )
