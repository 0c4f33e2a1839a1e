"""Boxes as a hurried annotator draws them, beside the exact ones.

The thesis (section 5) calls its boxes highly rough and inconsistent, drawn lazily, and measures
neither. Everything beyond these words is a choice of this project: that boxes are too large,
displaced, drawn once around neighbours, and now and then forgotten; by how much; and that
annotators differ in it. Exact boxes come from the lesions' masks, so that roughness itself can be
studied.

Boxes follow `pathogan_core.boxes`: xmin, ymin, xmax, ymax in pixels, continuous coordinates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, sparse

from pathogan_core.boxes import check, clipped
from pathogan_core.errors import PathoganError

Boxes = NDArray[np.float64]
Members = list[NDArray[np.intp]]

REVISION: int = 1
"""Bump whenever the boxes that are drawn for the same exact ones and seed change."""

DEEPEST_CUT = 0.45
"""Share of its width or height by which a box's side may at most be drawn too far inside."""


@dataclass(frozen=True)
class Habits:
    """How one annotator draws boxes; every value is a choice.

    Attributes:
        enlargement: range of the factor by which width and height grow, drawn for each of the four
            sides apart (half of the growth is a side's): above 1 too large, below 1 too small.
        shift: largest displacement of a box along each axis, as a share of its side.
        merging: neighbours closer than this, in mm, get one box about both.
        missing: probability that a lesion as small as a point is forgotten.
        missing_scale: mm of the longer side over which that probability falls to 1/e.
        least_side: mm; smaller boxes are drawn with this side.
    """

    enlargement: tuple[float, float] = (1.0, 1.5)
    shift: float = 0.1
    merging: float = 5.0
    missing: float = 0.3
    missing_scale: float = 4.0
    least_side: float = 8.0

    def scaled(self, roughness: float) -> Habits:
        """The same habits, `roughness` times as bad: 0 draws exact boxes, 1 changes nothing.

        Raises:
            PathoganError: a roughness that is negative or not finite.
        """
        if not 0 <= roughness < np.inf:
            raise PathoganError(
                f"is {roughness}", where="roughness", remedy="give 0 (exact boxes) or more"
            )
        low, high = self.enlargement
        return Habits(
            enlargement=(1 + roughness * (low - 1), 1 + roughness * (high - 1)),
            shift=roughness * self.shift,
            merging=roughness * self.merging,
            missing=min(roughness * self.missing, 1.0),
            missing_scale=self.missing_scale,
            least_side=roughness * self.least_side,
        )

    def probability_to_miss(self, side_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of lesions whose exact boxes have these longer sides."""
        return self.missing * np.exp(-side_mm / self.missing_scale)


ANNOTATORS: dict[str, Habits] = {
    "careful": Habits((1.0, 1.25), 0.05, 2.0, 0.15, 3.0, 5.0),
    "generous": Habits((1.3, 2.1), 0.08, 4.0, 0.25, 3.5, 9.0),
    "lumping": Habits((1.05, 1.5), 0.10, 12.0, 0.25, 4.0, 8.0),
    "shaky": Habits((0.7, 1.5), 0.22, 4.0, 0.30, 4.0, 6.0),
    "hasty": Habits((0.9, 1.7), 0.15, 6.0, 0.70, 6.0, 10.0),
}
"""Annotators by name."""


def exact_boxes(mask: NDArray[np.bool_]) -> Boxes:
    """Tight boxes `[n, 4]` of the 8-connected components of a mask `[H, W]`.

    In the order of the components' labels: that of their first pixels, row by row.
    """
    labels, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    corners = [
        (columns.start, rows.start, columns.stop, rows.stop)
        for rows, columns in ndimage.find_objects(labels)
    ]
    return np.array(corners, np.float64).reshape(-1, 4)


def annotator_of(patient: str, seed: int) -> str:
    """Who annotated a patient: a name in `ANNOTATORS`, each with the same probability."""
    return list(ANNOTATORS)[int(stream(seed, patient).integers(len(ANNOTATORS)))]


def stream(seed: int, patient: str, *numbers: int) -> np.random.Generator:
    """Randomness that belongs to a patient, or to one of its slices.

    Numbers start at 1: a trailing 0 in the seed would change nothing.
    """
    words = np.frombuffer(hashlib.sha256(patient.encode()).digest(), np.uint32)
    return np.random.default_rng([seed, *words.tolist(), *numbers])


def annotate(
    exact: ArrayLike,
    habits: Habits,
    rng: np.random.Generator,
    size: int,
    pixel_mm: float = 1.0,
) -> tuple[Boxes, Members]:
    """What an annotator with these habits draws in one slice.

    Neighbours are merged in chains: two boxes far apart share one if others bridge the way. What
    is drawn does not depend on the order of the exact boxes, and the random numbers drawn do not
    depend on the habits, so that one slice can be compared at several roughnesses.

    Args:
        exact: exact boxes `[n, 4]` in pixels, inside the image.
        habits: how the annotator draws.
        rng: source of randomness.
        size: rows and columns of the image.
        pixel_mm: side of a pixel in mm.

    Returns:
        Rough boxes `[m, 4]`, m <= n, inside the image, each with an area; and for each the indices
        of the exact boxes that it stands for. They are ordered by their first members.

    Raises:
        PathoganError: an exact box that means nothing or leaves the image.
    """
    check(exact, "exact boxes", width=size, height=size)
    boxes = np.asarray(exact, np.float64).reshape(-1, 4)
    order = np.lexsort(boxes.T)
    fate = rng.random((len(boxes), 7))
    side_mm = pixel_mm * (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
    luck = np.empty_like(fate)
    luck[order] = fate
    seen = np.flatnonzero(luck[:, 0] >= habits.probability_to_miss(side_mm))
    members = [seen[group] for group in neighbours(boxes[seen], habits.merging / pixel_mm)]
    rank = np.argsort(order)
    rough = [
        drawn_about(
            np.concatenate([boxes[group, :2].min(0), boxes[group, 2:].max(0)]),
            habits,
            luck[group[rank[group].argmin()], 1:],
            size,
            pixel_mm,
        )
        for group in members
    ]
    return np.array(rough, np.float64).reshape(-1, 4), members


def neighbours(boxes: Boxes, distance: float) -> Members:
    """Indices of boxes that hang together by gaps smaller than `distance` pixels."""
    low, high = boxes[:, None, :2], boxes[None, :, 2:]
    gap = np.maximum(low - high, 0)
    gap = np.maximum(gap, gap.transpose(1, 0, 2))
    near = np.hypot(gap[..., 0], gap[..., 1]) < distance
    count, labels = sparse.csgraph.connected_components(near, directed=False)
    return [np.flatnonzero(labels == label) for label in range(count)]


def drawn_about(
    box: Boxes, habits: Habits, luck: NDArray[np.float64], size: int, pixel_mm: float
) -> Boxes:
    """One box `[4]` as drawn about an exact one, from six numbers in [0, 1)."""
    side = box[2:] - box[:2]
    low, high = habits.enlargement
    growth = (low + (high - low) * luck[:4].reshape(2, 2) - 1) / 2
    outward = np.maximum(growth, -DEEPEST_CUT) * side
    lacking = habits.least_side / pixel_mm - (side + outward.sum(axis=0))
    outward += np.maximum(lacking, 0) / 2
    first, last = box[:2] - outward[0], box[2:] + outward[1]
    shift = habits.shift * (2 * luck[4:] - 1) * side
    # At least a corner of one pixel stays in the image.
    shift = np.clip(shift, np.minimum(1 - last, 0), np.maximum(size - 1 - first, 0))
    return clipped(np.concatenate([first + shift, last + shift])[None], size, size)[0]


def annotate_slices(
    exact_by_slice: Sequence[ArrayLike],
    patients: Sequence[str],
    slices: Sequence[int],
    seed: int,
    roughness: float,
    size: int,
    pixel_mm: float = 1.0,
) -> list[tuple[Boxes, Members]]:
    """What hurried annotators draw in many slices, one annotator per patient.

    A function of (seed, patient, slice) and the exact boxes there, whatever else is asked for.

    Args:
        exact_by_slice: exact boxes `[n, 4]` of every slice.
        patients: every slice's patient.
        slices: every slice's number in its patient.
        seed: of annotators and boxes.
        roughness: 0 for exact boxes as they are, 1 for the habits in `ANNOTATORS`, more for worse.
        size: rows and columns of an image.
        pixel_mm: side of a pixel in mm.

    Returns:
        For every slice what `annotate` gives.
    """
    habits = {name: usual.scaled(roughness) for name, usual in ANNOTATORS.items()}
    return [
        annotate(
            exact,
            habits[annotator_of(patient, seed)],
            stream(seed, patient, number + 1),
            size,
            pixel_mm,
        )
        for exact, patient, number in zip(exact_by_slice, patients, slices, strict=True)
    ]
