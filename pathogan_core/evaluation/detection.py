"""Which boxes a detector found: matching to the truth, one operating point, and the whole FROC.

The rule. In each image detections are taken by descending score, ties in the order given. Each
takes, of the truth boxes that none has taken yet, the one of highest IoU (the first of equals), if
that IoU reaches the threshold; otherwise it is a false positive. So a truth box is found once, and
every further detection of it is a false positive. Thesis section 5 states no rule; the two halves
of its Table 4 agree with this one.

What a detection takes depends on those before it only. Hence the matching of all detections above
any score is the beginning of the whole matching, which is done once.

Differs: the thesis gives one operating point; the curve, and sensitivity at equal false positives,
are this project's addition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pathogan_core import boxes as box_rules
from pathogan_core.errors import PathoganError

REVISION = 1
"""Raised when a change of code changes the measures."""
IOUS = (0.25, 0.5)
"""Both thresholds of thesis Table 4."""
THRESHOLD = 0.001
"""The thesis' detection threshold of 0.1%. A detection *at* the threshold counts: a choice."""
LEVELS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False positives per image at which curves are read: what thesis section 6 takes per scan."""


@dataclass(frozen=True, eq=False)
class Truth:
    """The boxes to be found in a set of images.

    Args:
        count: images there are, those without a box included.
        images: int64 ``[M]`` in 0 .. count - 1, the image of each box.
        boxes: ``[M, 4]``, or ``[M, 6]`` in volumes, see `pathogan_core.boxes`.

    Raises:
        PathoganError: no images, unequal lengths, an image there is not, or a box that means
            nothing.
    """

    count: int
    images: NDArray[np.int64]
    boxes: NDArray

    def __post_init__(self) -> None:
        if self.count < 1:
            raise PathoganError("there are no images", where="truth", remedy="give at least one")
        _check_boxes(self.boxes, self.images, "truth")
        _check_images(self.images, self.count, "truth")

    def per_image(self) -> NDArray[np.int64]:
        """Boxes to be found in each image ``[count]``."""
        return np.bincount(self.images, minlength=self.count)


@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector found.

    Args:
        images: int64 ``[N]``, the image of each detection; the order breaks ties of score.
        boxes: ``[N, 4]``, or ``[N, 6]`` in volumes, see `pathogan_core.boxes`.
        scores: ``[N]``, any finite numbers, higher where the detector is surer.

    Raises:
        PathoganError: unequal lengths, a score that is not finite, or a box that means nothing.
    """

    images: NDArray[np.int64]
    boxes: NDArray
    scores: NDArray

    def __post_init__(self) -> None:
        _check_boxes(self.boxes, self.images, "detections")
        if len(self.scores) != len(self.images):
            problem = f"{len(self.images)} images and {len(self.scores)} scores"
            remedy = "give one of each for each detection"
            raise PathoganError(problem, where="detections", remedy=remedy)
        if not np.isfinite(self.scores).all():
            number = int(np.flatnonzero(~np.isfinite(self.scores))[0])
            problem = f"the score of detection {number} is {self.scores[number]}"
            raise PathoganError(problem, where="detections", remedy="give finite scores")


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What became of each detection and each truth box: all that measures and resamples need.

    Attributes:
        images: int64 ``[N]``, image of each detection, in the order in which they were given.
        scores: float64 ``[N]``.
        taken: by IoU threshold, int64 ``[N]``: index of the truth box ``0 .. M - 1`` that the
            detection took, -1 for a false positive.
        lesions: int64 ``[I]``, truth boxes in each image.
    """

    images: NDArray[np.int64]
    scores: NDArray[np.float64]
    taken: dict[float, NDArray[np.int64]]
    lesions: NDArray[np.int64]

    def hits(self, iou: float) -> NDArray[np.bool_]:
        """Which detections took a truth box ``[N]``."""
        return self._taken(iou) >= 0

    def found(self, iou: float, threshold: float = THRESHOLD) -> NDArray[np.bool_]:
        """Which truth boxes were taken by a detection whose score reaches the threshold ``[M]``."""
        taken = self._taken(iou)[self.scores >= threshold]
        found = np.zeros(int(self.lesions.sum()), dtype=bool)
        found[taken[taken >= 0]] = True
        return found

    def _taken(self, iou: float) -> NDArray[np.int64]:
        if iou not in self.taken:
            known = ", ".join(f"{one:g}" for one in self.taken)
            remedy = f"choose from {known}, or match again"
            raise PathoganError(f"nothing was matched at {iou:g}", where="iou", remedy=remedy)
        return self.taken[iou]


def match(truth: Truth, detections: Detections, ious: Sequence[float] = IOUS) -> Outcomes:
    """Match detections to truth boxes at each IoU threshold apart.

    Raises:
        PathoganError: a detection in an image there is not, boxes in volumes and in images, or an
            IoU outside (0, 1].
    """
    _check_images(detections.images, truth.count, "detections")
    kinds = {np.shape(one)[-1] for one in (truth.boxes, detections.boxes) if len(one)}
    if len(kinds) > 1:
        problem = "boxes have four columns, and the truth six, or the other way round"
        raise PathoganError(problem, where="detections", remedy="give both of images or of volumes")
    for iou in ious:
        if not 0 < iou <= 1:
            raise PathoganError(f"{iou} is no threshold", where="iou", remedy="give 0 < iou <= 1")
    scores = np.asarray(detections.scores, dtype=np.float64)
    taken = {float(iou): np.full(len(scores), -1, dtype=np.int64) for iou in ious}
    order = np.argsort(-scores, kind="stable")
    own_detections = grouped(detections.images, truth.count, order)
    own_truth = grouped(truth.images, truth.count, np.arange(len(truth.images)))
    for rows, columns in zip(own_detections, own_truth, strict=True):
        if not len(rows) or not len(columns):
            continue
        overlaps = box_rules.iou(detections.boxes[rows], truth.boxes[columns])
        for iou, into in taken.items():
            chosen = _take(overlaps, iou)
            into[rows[chosen >= 0]] = columns[chosen[chosen >= 0]]
    return Outcomes(np.asarray(detections.images), scores, taken, truth.per_image())


def _take(overlaps: NDArray[np.float64], iou: float) -> NDArray[np.int64]:
    """Which column each row of ``[D, T]`` takes, row after row; -1 where it takes none."""
    free = overlaps.copy()
    chosen = np.full(len(free), -1, dtype=np.int64)
    for row in np.flatnonzero(overlaps.max(axis=1) >= iou):
        best = int(free[row].argmax())
        if free[row, best] >= iou:
            chosen[row] = best
            free[:, best] = -1
    return chosen


@dataclass(frozen=True)
class OperatingPoint:
    """What a detector does where every detection below one score is dropped.

    Attributes:
        threshold: the score from which detections count.
        hits, false_positives: detections that took a truth box, and all others.
        lesions, images: truth boxes and images there are.
    """

    threshold: float
    hits: int
    false_positives: int
    lesions: int
    images: int

    @property
    def sensitivity(self) -> float | None:
        """Share of the truth boxes that were found; None where there are none."""
        return self.hits / self.lesions if self.lesions else None

    @property
    def fps_per_image(self) -> float:
        """False positives per image, over all images."""
        return self.false_positives / self.images


def operating_point(outcomes: Outcomes, iou: float, threshold: float = THRESHOLD) -> OperatingPoint:
    """Hits and false positives among detections whose score reaches the threshold.

    Raises:
        PathoganError: a threshold that is not finite, or an IoU that was not matched.
    """
    check_threshold(threshold)
    hits = outcomes.hits(iou)[outcomes.scores >= threshold]
    lesions, images = int(outcomes.lesions.sum()), len(outcomes.lesions)
    return OperatingPoint(threshold, int(hits.sum()), int((~hits).sum()), lesions, images)


@dataclass(frozen=True)
class Reading:
    """A FROC curve, read at one level of false positives per image.

    Attributes:
        level: what was asked for.
        sensitivity: the highest of all points with no more false positives than that; 0 where
            there is no such point; None where there is no truth box.
        score: the threshold of that point; None where there is no such point.
        beyond: the curve ends before the level, so that its last point stands for it.
    """

    level: float
    sensitivity: float | None
    score: float | None
    beyond: bool


@dataclass(frozen=True, eq=False)
class Froc:
    """Sensitivity against false positives per image: a point for each distinct score.

    Attributes:
        scores: ``[K]``, falling; the point is the operating point at this threshold.
        fps_per_image: ``[K]``, not falling.
        sensitivity: ``[K]`` in [0, 1], not falling; NaN where there is no truth box.
        lesions: truth boxes there are.
    """

    scores: NDArray[np.float64]
    fps_per_image: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    lesions: int

    def at(self, level: float) -> Reading:
        """The curve at one level of false positives per image; see `Reading` for the rule."""
        within = int((self.fps_per_image <= level).sum())
        found = float(self.sensitivity[within - 1]) if within else 0.0
        end = float(self.fps_per_image[-1]) if len(self.scores) else 0.0
        return Reading(
            level=level,
            sensitivity=found if self.lesions else None,
            score=float(self.scores[within - 1]) if within else None,
            beyond=level > end,
        )

    def mean_sensitivity(self, levels: Sequence[float] = LEVELS) -> float | None:
        """Mean sensitivity over levels of false positives per image; None without a truth box."""
        if not self.lesions:
            return None
        return float(np.mean([self.at(level).sensitivity for level in levels]))


def froc(outcomes: Outcomes, iou: float) -> Froc:
    """The whole curve, from the highest score to the lowest; detections of one score are one point.

    Raises:
        PathoganError: an IoU that was not matched.
    """
    order, ends = ranked(outcomes.scores)
    hits = outcomes.hits(iou)[order]
    lesions = int(outcomes.lesions.sum())
    found = hits.cumsum()[ends].astype(np.float64)
    return Froc(
        scores=outcomes.scores[order][ends],
        fps_per_image=(~hits).cumsum()[ends] / len(outcomes.lesions),
        sensitivity=found / lesions if lesions else np.full(len(ends), np.nan),
        lesions=lesions,
    )


def ranked(scores: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The order of falling scores ``[N]``, and where in it each distinct score ends ``[K]``."""
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    return order, np.flatnonzero(falling != np.append(falling[1:], -np.inf))


def check_threshold(threshold: float) -> None:
    """Refuse a score threshold that is no score."""
    if not np.isfinite(threshold):
        raise PathoganError(f"is {threshold}", where="threshold", remedy="give a score, e.g. 0.001")


def grouped(images: ArrayLike, count: int, order: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """For each image the indices of what it holds, in the given order of all."""
    owners = np.asarray(images)[order]
    by_image = order[np.argsort(owners, kind="stable")]
    return np.split(by_image, np.bincount(owners, minlength=count).cumsum()[:-1])


def _check_boxes(boxes: NDArray, images: NDArray, where: str) -> None:
    if len(boxes) != len(images):
        problem = f"{len(images)} images and {len(boxes)} boxes"
        raise PathoganError(problem, where=where, remedy="give one of each for each box")
    box_rules.check(boxes, where)


def _check_images(images: NDArray, count: int, where: str) -> None:
    strange = images[(images < 0) | (images >= count)]
    if len(strange):
        problem = f"a box is in image {strange[0]} of {count}"
        raise PathoganError(problem, where=where, remedy=f"number images from 0 to {count - 1}")
