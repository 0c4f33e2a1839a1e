"""Spurious enhancement: bright compact spots where no lesion was asked for.

A spot is what a radiologist would look at twice in a contrast-enhanced slice: small, about as long
as wide, brighter than its surroundings and than the brain on the whole. It is found as a maximum
over place and size of a difference of Gaussians (a centre minus its surroundings), which says how
bright a spot is in % of white: the height of the Gaussian hill with the same difference. How strong
it has to be is read from real lesions.

Real brains have such spots too (vessels, choroid plexus), in patients as in normal subjects. So a
count says little by itself: what tells is its difference to real slices. Too few are as wrong as
too many: a generator without vessels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pathogan_core.boxes import drawn
from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.clusters import RESAMPLES, Resampled, as_metric, resampled_means
from pathogan_core.evaluation.metric import Metric
from pathogan_core.evaluation.placement import BRAIN, WHITE
from pathogan_core.evaluation.placement import UNIT as CONTRAST_UNIT

REVISION = 1
"""Raised when a change of code changes the measures."""
STEP = 2**0.5  # from one size to the next
SURROUND = STEP**2  # a centre's surroundings, in its own sizes
HEIGHT = (SURROUND + 1) / (SURROUND - 1)
"""Of a Gaussian hill, over the largest difference that it makes."""
CENTRE_HEIGHT = (SURROUND + 1) / SURROUND
"""Of a Gaussian hill, over what its smoothed middle keeps of it, at the size of that difference."""
GREY_LEVEL = 100 / WHITE
AT_ONCE = 200  # images that are held at every size
COUNT_UNIT, AREA_UNIT = "spots per slice", "% of the brain outside boxes"


@dataclass(frozen=True)
class SpotRule:
    """What counts as a spot; every value is a choice.

    Args:
        finest: deviation of the smallest centre, as a share of the image's side: 0.8 of 64 px.
        sizes: how many, each sqrt(2) times the one before. The radius of a spot is sqrt(2) times
            its deviation; 6 sizes reach from 1.1 to 6.4 px of 64.
        compactness: how curved a spot is along its length, at least, as a share of how curved it
            is across: 1 if round, 0 for a line such as a vessel in the plane.
        weaker: share of real lesions that are weaker than what counts.
    """

    finest: float = 0.0125
    sizes: int = 6
    compactness: float = 0.4
    weaker: float = 0.25

    def deviations(self, size: int) -> NDArray[np.float64]:
        """Of the centres ``[sizes]``, in pixels of an image of that side."""
        return self.finest * size * STEP ** np.arange(self.sizes, dtype=np.float64)

    def as_json(self) -> dict[str, Any]:
        """As a record holds it."""
        return asdict(self)


RULE = SpotRule()


@dataclass(frozen=True, eq=False)
class Spots:
    """One row for each spot of a set of images.

    Args:
        image: int ``[K]``.
        x, y: of its middle, in continuous pixels (see `pathogan_core.boxes`).
        radius: in pixels.
        strength: in % of white.
    """

    image: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    radius: NDArray[np.float64]
    strength: NDArray[np.float64]


def find_spots(images: NDArray[np.uint8], threshold: float, rule: SpotRule = RULE) -> Spots:
    """The spots of images.

    Args:
        images: uint8 ``[N, S, S]``.
        threshold: weakest strength that counts, in % of white, above 0.
        rule: what counts otherwise.

    Raises:
        PathoganError: a threshold that everything would reach.
    """
    if not threshold > 0:
        raise PathoganError(
            f"is {threshold:g}",
            where="threshold of spots",
            remedy="give a brightness above 0, in % of white",
        )
    deviations = rule.deviations(images.shape[1])
    rows = [np.empty((0, 5))]
    for start in range(0, len(images), AT_ONCE):
        some = images[start : start + AT_ONCE]
        difference, strength = _strengths(some, rule)
        peak = difference == ndimage.maximum_filter(difference, (1, 3, 3, 3), mode="nearest")
        image, size, y, x = places = np.nonzero(peak & (strength >= threshold))
        round_enough = _compactness(difference, places) >= rule.compactness
        radius = 2**0.5 * deviations[size]
        columns = (image + start, x + 0.5, y + 0.5, radius, strength[places])
        rows.append(np.stack(columns, axis=1)[round_enough])
    image, x, y, radius, strength = np.concatenate(rows).T
    return Spots(image.astype(np.int64), x, y, radius, strength)


def _strengths(
    images: NDArray[np.uint8], rule: SpotRule
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Differences and strengths ``[N, sizes, S, S]`` in % of white; no strength outside the brain.

    The strength is the smaller of two heights: over the surroundings, and over the median of the
    slice's brain, so that a spot of ordinary grey in a dark ventricle has none.
    """
    brain = images >= BRAIN
    grey = images.astype(np.float32) * np.float32(GREY_LEVEL)
    deviations = rule.deviations(images.shape[1])
    # The surroundings of one size are the centre of the size two steps on.
    smoothed = np.stack(
        [_smoothed(grey, brain, one) for one in (*deviations, *deviations[-2:] * SURROUND)], axis=1
    )
    centre, around = smoothed[:, :-2], smoothed[:, 2:]
    median = [np.median(one[inside]) if inside.any() else 0 for one, inside in _pairs(grey, brain)]
    over_brain = centre - np.array(median, np.float32)[:, None, None, None]
    difference = centre - around
    strength = np.minimum(HEIGHT * difference, CENTRE_HEIGHT * over_brain)
    return difference, np.where(brain[:, None], strength, np.float32(0))


def _pairs(grey: NDArray, brain: NDArray) -> zip[tuple[NDArray, NDArray]]:
    return zip(grey, brain, strict=True)


def _smoothed(
    grey: NDArray[np.float32], brain: NDArray[np.bool_], deviation: float
) -> NDArray[np.float32]:
    """Gaussian means ``[N, S, S]`` over the brain only: the dark outside does not count."""
    deviations = (0, deviation, deviation)
    weight = ndimage.gaussian_filter(brain.astype(np.float32), deviations, mode="constant")
    total = ndimage.gaussian_filter(grey * brain, deviations, mode="constant")
    return total / np.maximum(weight, np.float32(1e-3))


def _compactness(
    difference: NDArray[np.float32], places: tuple[NDArray, ...]
) -> NDArray[np.float64]:
    """Smaller over larger curvature ``[K]`` at places; 0 where it is no hilltop."""
    padded = np.pad(difference, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    image, size, row, column = places

    def at(down: int, right: int) -> NDArray[np.float64]:
        return padded[image, size, row + 1 + down, column + 1 + right].astype(np.float64)

    here = at(0, 0)
    down = at(1, 0) + at(-1, 0) - 2 * here
    right = at(0, 1) + at(0, -1) - 2 * here
    mixed = (at(1, 1) + at(-1, -1) - at(1, -1) - at(-1, 1)) / 4
    spread = np.hypot((down - right) / 2, mixed)
    flatter, steeper = (down + right) / 2 + spread, (down + right) / 2 - spread
    hilltop = flatter < 0
    return np.divide(flatter, steeper, out=np.zeros_like(here), where=hilltop)


def lesion_strengths(
    images: NDArray[np.uint8], exact: Sequence[NDArray], rule: SpotRule = RULE
) -> NDArray[np.float64]:
    """How strong real lesions are: the largest strength within each exact box, ``[B]``.

    Args:
        images: uint8 ``[N, S, S]``.
        exact: the lesions' boxes in each, ``[n, 4]`` in pixels.
        rule: the sizes to look at.
    """
    found: list[float] = []
    for start in range(0, len(images), AT_ONCE):
        _, strength = _strengths(images[start : start + AT_ONCE], rule)
        for one, boxes in zip(strength, exact[start : start + AT_ONCE], strict=True):
            for xmin, ymin, xmax, ymax in np.reshape(boxes, (-1, 4)):
                rows = slice(int(ymin), int(np.ceil(ymax)))
                columns = slice(int(xmin), int(np.ceil(xmax)))
                found.append(float(one[:, rows, columns].max()))
    return np.array(found, np.float64)


def threshold_of(strengths: NDArray[np.float64], rule: SpotRule = RULE) -> Metric | None:
    """The strength from which a spot counts, in % of white.

    Args:
        strengths: of real lesions, ``[B]``.
        rule: which share of them may be weaker.

    Returns:
        None without lesions, or where it would be less than one grey level.
    """
    found = float(np.quantile(strengths, rule.weaker)) if len(strengths) else 0.0
    return Metric(found, len(strengths), unit=CONTRAST_UNIT) if found >= GREY_LEVEL else None


def outside(spots: Spots, boxes: Sequence[NDArray]) -> NDArray[np.bool_]:
    """Which spots ``[K]`` have their middle more than their radius away from every box.

    Args:
        spots: of images.
        boxes: of each image, ``[n, 4]`` in pixels.
    """
    away = np.ones(len(spots.image), bool)
    for number in np.unique(spots.image):
        mine = np.flatnonzero(spots.image == number)
        xmin, ymin, xmax, ymax = np.reshape(boxes[number], (-1, 4)).T
        x, y, radius = (values[mine][:, None] for values in (spots.x, spots.y, spots.radius))
        right = np.maximum(np.maximum(xmin - x, x - xmax), 0)
        down = np.maximum(np.maximum(ymin - y, y - ymax), 0)
        away[mine] = (np.hypot(right, down) > radius).all(axis=1)
    return away


def per_slice(
    images: NDArray[np.uint8],
    boxes: Sequence[NDArray],
    threshold: float,
    rule: SpotRule = RULE,
) -> NDArray[np.float64]:
    """Number of spots outside the boxes, and % of the brain outside them that spots cover.

    Args:
        images: uint8 ``[N, S, S]``.
        boxes: of each image, ``[n, 4]`` in pixels.
        threshold, rule: as in `find_spots`.

    Returns:
        ``[N, 2]``; the second is 0 in an image without brain outside the boxes.
    """
    spots = find_spots(images, threshold, rule)
    free = outside(spots, boxes)
    counts = np.bincount(spots.image[free], minlength=len(images)).astype(np.float64)
    size = images.shape[1]
    middles = np.arange(size) + 0.5
    areas = np.zeros(len(images))
    for number in np.unique(spots.image[free]):
        mine = free & (spots.image == number)
        apart = np.hypot(
            middles[None, None, :] - spots.x[mine, None, None],
            middles[None, :, None] - spots.y[mine, None, None],
        )
        covered = (apart <= spots.radius[mine, None, None]).any(axis=0)
        looked_at = (images[number] >= BRAIN) & (drawn(boxes[number], size) == 0)
        areas[number] = 100 * (covered & looked_at).sum() / max(looked_at.sum(), 1)
    return np.stack([counts, areas], axis=1)


@dataclass(frozen=True, eq=False)
class RealSlices:
    """What generated slices are held against.

    Args:
        images: uint8 ``[N, S, S]``.
        boxes: of each, ``[n, 4]`` in pixels: all that may hold a lesion.
        patients: ``[N]``.
    """

    images: NDArray[np.uint8]
    boxes: Sequence[NDArray]
    patients: NDArray[np.str_]


def spurious(
    images: NDArray[np.uint8],
    asked: Sequence[NDArray],
    references: Mapping[str, RealSlices],
    threshold: float,
    *,
    rule: SpotRule = RULE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Metric]:
    """Spurious enhancement of generated slices, of real ones, and the difference.

    Args:
        images: generated, uint8 ``[N, S, S]``.
        asked: boxes that each was asked for, ``[n, 4]`` in pixels.
        references: real slices of the same size by name, e.g. ``patients``, ``normal``.
        threshold, rule: as in `find_spots`.
        resamples, seed: of the bootstrap, over generated images and over the patients of real ones.

    Returns:
        ``spots`` and ``spot_area`` of the generated slices; of each reference ``spots_<name>``, and
        ``spots_excess_<name>``: generated minus real; the same of the area.
    """
    measured = per_slice(images, asked, threshold, rule)
    mine = _means(measured, np.arange(len(images)), "images", resamples, seed)
    theirs = {
        name: _means(
            per_slice(real.images, real.boxes, threshold, rule),
            real.patients, "patients", resamples, seed + number,
        )
        for number, (name, real) in enumerate(references.items(), start=1)
    }  # fmt: skip
    metrics = {}
    for column, (measure, unit) in enumerate((("spots", COUNT_UNIT), ("spot_area", AREA_UNIT))):
        metrics[measure] = mine[column].metric(unit)
        for name, real in theirs.items():
            metrics[f"{measure}_{name}"] = real[column].metric(unit)
            metrics[f"{measure}_excess_{name}"] = as_metric(
                mine.value[column] - real.value[column],
                mine.draws[:, column] - real.draws[:, column],
                mine.n,
                unit,
                "images and patients",
            )
    return metrics


def _means(
    values: NDArray, clusters: NDArray, unit_of_draw: str, resamples: int, seed: int
) -> Resampled:
    found = resampled_means(
        values, clusters, unit_of_draw=unit_of_draw, resamples=resamples, seed=seed
    )
    if found is None:
        raise PathoganError(
            "there are no slices", where="spurious enhancement", remedy="give one at least"
        )
    return found
