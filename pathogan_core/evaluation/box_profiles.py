"""How bright a box is from its centre to its border and beyond, and how much of it is lesion.

A mean over a box does not say whether a lesion lies in it or the box itself was painted. A ring
does: rings are drawn in the box's own coordinates, so that boxes of every size and shape can be
averaged. Ring i reaches from ``EDGES[i]`` to ``EDGES[i + 1]`` of the way from the centre to the
border; the border is at 1. Pixels count by the share of them that lies in a ring.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pathogan_core.boxes import drawn
from pathogan_core.evaluation.clusters import RESAMPLES, as_metric, resampled_means
from pathogan_core.evaluation.metric import Metric
from pathogan_core.evaluation.placement import BRAIN, UNIT, WHITE

REVISION = 1
"""Raised when a change of code changes the measures."""
EDGES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
"""Of the rings; the last ring is the level that the others are told from."""
RINGS = len(EDGES) - 1
CENTRE, BORDER = slice(0, 2), slice(3, 4)
"""The inner half of a box, and the last ring inside its border."""
SHARE_UNIT = "%"


@dataclass(frozen=True, eq=False)
class BoxRings:
    """One row for each box of a set of images.

    Args:
        image: int ``[B]``, the image that each box lies in.
        brightness: ``[B, RINGS]``, in % of white above the last ring; NaN throughout where a ring
            shows no brain, so that every ring is a mean over the same boxes.
        lesion: ``[B, RINGS]``, share of each ring in the image that is lesion; NaN without masks.
    """

    image: NDArray[np.int64]
    brightness: NDArray[np.float64]
    lesion: NDArray[np.float64]


def box_rings(
    images: NDArray[np.uint8],
    boxes: Sequence[NDArray],
    masks: NDArray[np.uint8] | None = None,
) -> BoxRings:
    """What lies in the rings of each box.

    As in `placement`, neither background nor what another box covers is looked at.

    Args:
        images: uint8 ``[N, S, S]``.
        boxes: of each image, ``[n, 4]`` in pixels, with an area.
        masks: how much of each pixel is lesion, uint8 ``[N, S, S]``, 255 for all of it.
    """
    owners, brightness, lesion = [], [np.empty((0, RINGS))], [np.empty((0, RINGS))]
    for number, (image, some) in enumerate(zip(images, boxes, strict=True)):
        own = np.reshape(some, (-1, 4))
        mask = None if masks is None else masks[number]
        for place in range(len(own)):
            rings = _rings(own[place], image.shape[0])
            free = drawn(np.delete(own, place, axis=0), image.shape[0]) == 0
            bright = _ring_means(image, rings * (free & (image >= BRAIN)))
            owners.append(number)
            brightness.append((100 / WHITE * (bright - bright[-1]))[None])
            shares = np.full(RINGS, np.nan) if mask is None else _ring_means(mask / 255, rings)
            lesion.append(shares[None])
    bright = np.concatenate(brightness)
    bright[np.isnan(bright).any(axis=1)] = np.nan
    return BoxRings(np.array(owners, np.int64), bright, np.concatenate(lesion))


def _scaled(box: NDArray, factor: float) -> NDArray:
    """The box with sides that many times as long, about its centre."""
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    return np.concatenate([centre - factor * half, centre + factor * half])


def _rings(box: NDArray, size: int) -> NDArray[np.float64]:
    """How much of each pixel lies in each ring, ``[RINGS, size, size]``."""
    within = [drawn([_scaled(box, edge)], size).astype(np.float64) for edge in EDGES]
    return np.diff(within, axis=0)


def _ring_means(values: NDArray, weights: NDArray) -> NDArray[np.float64]:
    """Means ``[RINGS]``; NaN where nothing of a ring is looked at."""
    totals = weights.sum(axis=(1, 2))
    sums = (weights * values).sum(axis=(1, 2))
    return np.divide(sums, totals, out=np.full(len(totals), np.nan), where=totals > 1e-6)


def profile(
    found: BoxRings,
    clusters: NDArray,
    unit_of_draw: str,
    *,
    suffix: str = "",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Metric]:
    """Mean brightness of each ring, and how much of the centre's is left at the border.

    Args:
        found: of a set of images.
        clusters: ``[N]`` whose each *image* is: what is resampled whole.
        unit_of_draw: the clusters, in words, e.g. "patients".
        suffix: of the names.
        resamples, seed: of the bootstrap.

    Returns:
        ``profile_<i>`` for each ring but the last, which is 0 by definition, in % of white;
        ``border_share``, in %: of the brightness of the inner half the last ring inside the border
        has so much, 100 for a box that is filled evenly. It is missing where the centre's
        brightness is not above 0 in 97.5% of the resamples. Nothing without boxes in the brain.
    """
    valid = np.isfinite(found.brightness).all(axis=1)
    means = resampled_means(
        found.brightness[valid],
        np.asarray(clusters)[found.image[valid]],
        unit_of_draw=unit_of_draw, resamples=resamples, seed=seed,
    )  # fmt: skip
    if means is None:
        return {}
    metrics = {f"profile_{ring}{suffix}": means[ring].metric(UNIT) for ring in range(RINGS - 1)}
    centre, border = (_pooled(means.draws, rings) for rings in (CENTRE, BORDER))
    if np.quantile(centre, 0.025) > 0:
        share = _pooled(means.value, BORDER) / _pooled(means.value, CENTRE)
        above = centre > 0
        metrics[f"border_share{suffix}"] = as_metric(
            100 * share, 100 * border[above] / centre[above], means.n, SHARE_UNIT, unit_of_draw
        )
    return metrics


def _pooled(means: NDArray[np.float64], rings: slice) -> NDArray[np.float64]:
    """The mean over several rings ``[..., RINGS]``, each by its area."""
    areas = np.diff(np.square(EDGES))[rings]
    return means[..., rings] @ areas / areas.sum()


def lesion_truth(
    images: NDArray[np.uint8],
    boxes: Sequence[NDArray],
    masks: NDArray[np.uint8],
    patients: NDArray[np.str_],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Metric]:
    """What boxes hold where the exact lesions are known.

    Args:
        images: real, uint8 ``[N, S, S]``.
        boxes: rough ones of each, ``[n, 4]`` in pixels.
        masks: how much of each pixel is lesion, uint8 ``[N, S, S]``, 255 for all of it.
        patients: ``[N]``; they are resampled whole.
        resamples, seed: of the bootstrap.

    Returns:
        ``lesion_fill``: of a box, how much is lesion, in %; ``lesion_share_<i>``: the same of each
        ring; ``lesion_contrast``: mean brightness of a box's lesion minus that of the brain in and
        around the box (to twice its size) that is no lesion, in % of white. Where a lesion fills a
        pixel in part, both count by their shares. Nothing without boxes.
    """
    found = box_rings(images, boxes, masks)
    rows = [
        _lesion_of(image, mask, box)
        for image, mask, some in zip(images, masks, boxes, strict=True)
        for box in np.reshape(some, (-1, 4))
    ]
    fill, contrast = np.array(rows, np.float64).reshape(-1, 2).T
    owners = np.asarray(patients)[found.image]
    columns = {
        "lesion_fill": (fill, SHARE_UNIT),
        "lesion_contrast": (contrast, UNIT),
        **{f"lesion_share_{i}": (100 * found.lesion[:, i], SHARE_UNIT) for i in range(RINGS)},
    }
    metrics = {}
    for name, (values, unit) in columns.items():
        valid = np.isfinite(values)
        means = resampled_means(
            values[valid], owners[valid],
            unit_of_draw="patients", resamples=resamples, seed=seed,
        )  # fmt: skip
        if means is not None:
            metrics[name] = means.metric(unit)
    return metrics


def _lesion_of(image: NDArray, mask: NDArray, box: NDArray) -> tuple[float, float]:
    """Fill in % and contrast in % of white of one box; NaN for a box without lesion."""
    size = image.shape[0]
    inside, about = drawn([box], size), drawn([_scaled(box, EDGES[-1])], size)
    lesion, share = inside * (mask / 255), about * (1 - mask / 255) * (image >= BRAIN)
    fill = 100 * lesion.sum() / max(inside.sum(), 1e-6)
    if not (lesion.sum() > 0 and share.sum() > 0):
        return fill, np.nan
    means = [(weight * image).sum() / weight.sum() for weight in (lesion, share)]
    return fill, 100 / WHITE * (means[0] - means[1])
