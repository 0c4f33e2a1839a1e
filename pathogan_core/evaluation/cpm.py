"""Sensitivity at seven rates of false positives per scan, and their mean, the CPM.

The Competition Performance Metric (Niemeijer et al., 2011) is what thesis Table 5 and LUNA16
report. What counts as a hit is settled before: by `luna.judge`, or by the overlap of boxes
(`judged_boxes`, the thesis' IoU of 0.25). Here only scores are left.

The curve begins at (0, 0) and has a point for each distinct score. Between two points it is
straight, and beyond the last it is constant. A curve rises or runs to the right, and does both at
once only where a nodule and a false positive have the same score: but for these, a rate is read
here as `detection.Froc` reads it.

Nodules have classes, false positives have none. A class is read at the false positives of the whole
curve, so that the hits of its classes add up to all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.detection import LEVELS, Detections, Truth, match
from pathogan_core.evaluation.metric import percentile_interval

ALL = "all"
"""The name of the class that every nodule is in."""
THESIS_IOU = 0.25
SIZE_LIMITS_MM = (10.0, 20.0)
"""Greatest diameters of small and medium nodules (thesis section 6.2.1; 10 mm exactly, which it has
in both classes, is small here)."""
SIZES = ("small", "medium", "large")
RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class Judged:
    """Which nodules were found, and what was marked besides.

    Args:
        scans: how many there are, those without nodules or marks included.
        nodule_scans: int64 ``[M]`` in 0 .. scans - 1, the scan of each nodule.
        found_at: ``[M]``, the highest score at which each nodule is found; -inf if it never is.
        false_scans: int64 ``[F]``, the scan of each false positive.
        false_at: finite ``[F]``, the score of each.

    Raises:
        PathoganError: no scans.
    """

    scans: int
    nodule_scans: NDArray[np.int64]
    found_at: NDArray[np.float64]
    false_scans: NDArray[np.int64]
    false_at: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.scans < 1:
            raise PathoganError("there are no scans", where="truth", remedy="give at least one")


def judged_boxes(truth: Truth, detections: Detections, iou: float = THESIS_IOU) -> Judged:
    """Nodules and detections as boxes that overlap, matched by the rule of `detection.match`.

    Unlike LUNA16's, that rule makes a second detection of a nodule a false positive, and lets a
    detection find one nodule only. Thesis section 6 states neither.

    Raises:
        PathoganError: as `detection.match`.
    """
    outcomes = match(truth, detections, [iou])
    hits = outcomes.hits(iou)
    found_at = np.full(len(truth.images), -np.inf)
    found_at[outcomes.taken[iou][hits]] = outcomes.scores[hits]
    return Judged(
        truth.count, truth.images, found_at, outcomes.images[~hits], outcomes.scores[~hits]
    )


def size_classes(diameters_mm: ArrayLike) -> dict[str, NDArray[np.bool_]]:
    """Which of the nodules ``[M]`` are in each of the thesis' `SIZES`."""
    numbers = np.searchsorted(SIZE_LIMITS_MM, diameters_mm)
    return {name: numbers == number for number, name in enumerate(SIZES)}


@dataclass(frozen=True, eq=False)
class Curve:
    """Sensitivity against false positives per scan, ``[K]`` points.

    Points between two of equal sensitivity are left out: they lie on the line between these.

    Attributes:
        scores: falling; the point is what marks of this score and above give. The first is inf.
        fps_per_scan: not falling, from 0.
        sensitivity: not falling, from 0, in [0, 1]; NaN where there are no nodules.
    """

    scores: NDArray[np.float64]
    fps_per_scan: NDArray[np.float64]
    sensitivity: NDArray[np.float64]

    def at(self, rates: Sequence[float]) -> NDArray[np.float64]:
        """Sensitivity at rates of false positives per scan."""
        return np.interp(rates, self.fps_per_scan, self.sensitivity)


@dataclass(frozen=True)
class Cpm:
    """Sensitivity of one class of nodules at several rates of false positives per scan.

    Attributes:
        nodules: of this class.
        rates: false positives per scan.
        sensitivity: at each rate; None where the class is empty.
        intervals: 95%, at each rate; None where the class is empty or there is one scan only.
        value: mean of the sensitivities, the CPM; None as they are.
        interval: 95%, of the CPM; None as the others are.
    """

    nodules: int
    rates: tuple[float, ...]
    sensitivity: tuple[float, ...] | None
    intervals: tuple[tuple[float, float], ...] | None
    value: float | None
    interval: tuple[float, float] | None


def curve(judged: Judged) -> Curve:
    """The FROC curve of all nodules."""
    points = _Points.of(judged, np.ones((1, len(judged.nodule_scans)), dtype=bool))
    fps, hits, nodules = points.counts(np.ones(judged.scans))
    with np.errstate(invalid="ignore"):
        return Curve(points.scores, fps / judged.scans, hits[0] / nodules[0])


def measure(
    judged: Judged,
    classes: Mapping[str, NDArray[np.bool_]] | None = None,
    *,
    rates: Sequence[float] = LEVELS,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Cpm]:
    """Sensitivity and CPM of all nodules and of classes of them, with intervals.

    Args:
        judged: nodules and false positives.
        classes: by name, which nodules ``[M]`` are in the class.
        rates: false positives per scan.
        resamples, seed: of the bootstrap over scans: as many as there are, drawn with replacement.
            Those without a nodule of the class are left out.

    Returns:
        A `Cpm` for `ALL` and each class.
    """
    members = {ALL: np.ones(len(judged.nodule_scans), dtype=bool), **(classes or {})}
    points = _Points.of(judged, np.stack(list(members.values())))
    observed = points.sensitivities(np.ones(judged.scans), rates)
    drawn = None
    if judged.scans > 1:
        draws = _draws(judged.scans, resamples, np.random.default_rng(seed))
        drawn = np.stack([points.sensitivities(draw, rates) for draw in draws], axis=1)
    return {
        name: _cpm(int(chosen.sum()), rates, observed[k], None if drawn is None else drawn[k])
        for k, (name, chosen) in enumerate(members.items())
    }


def _draws(scans: int, resamples: int, rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """How often each scan is drawn ``[scans]``, in one resample after the other."""
    for _ in range(resamples):
        yield np.bincount(rng.integers(scans, size=scans), minlength=scans).astype(float)


def _cpm(
    nodules: int,
    rates: Sequence[float],
    observed: NDArray[np.float64],
    drawn: NDArray[np.float64] | None,
) -> Cpm:
    """Of sensitivities as observed ``[L]`` and in each resample ``[resamples, L]``."""
    if not nodules:
        return Cpm(0, tuple(rates), None, None, None, None)
    intervals = interval = None
    if drawn is not None and len(defined := drawn[~np.isnan(drawn[:, 0])]):
        intervals = tuple(percentile_interval(one) for one in defined.T)
        interval = percentile_interval(defined.mean(axis=1))
    value = float(observed.mean())
    return Cpm(nodules, tuple(rates), tuple(observed.tolist()), intervals, value, interval)


@dataclass(frozen=True, eq=False)
class _Points:
    """The curve's points as numbers of marks, ready to be counted with any weights of the scans.

    Attributes:
        scores: ``[K]``, falling, from inf; corners of the curve only, see `Curve`.
        false_scans, found_scans: scans of false positives ``[F]`` and found nodules ``[H]``, in
            the order of falling scores.
        false_upto, found_upto: ``[K]``, how many of these each point has.
        found_members: ``[G, H]``, whether each found nodule is in each class.
        nodules: ``[G, scans]``, nodules of each class in each scan.
    """

    scores: NDArray[np.float64]
    false_scans: NDArray[np.int64]
    found_scans: NDArray[np.int64]
    false_upto: NDArray[np.intp]
    found_upto: NDArray[np.intp]
    found_members: NDArray[np.bool_]
    nodules: NDArray[np.intp]

    @classmethod
    def of(cls, judged: Judged, members: NDArray[np.bool_]) -> _Points:
        """The points for classes of nodules ``[G, M]``."""
        false = np.argsort(-judged.false_at, kind="stable")
        found = np.argsort(-judged.found_at, kind="stable")
        found = found[: np.isfinite(judged.found_at).sum()]
        false_at, found_at = judged.false_at[false], judged.found_at[found]
        scores = np.append(np.inf, np.unique(np.append(false_at, found_at))[::-1])
        found_upto = np.searchsorted(-found_at, -scores, side="right")
        rises = np.diff(found_upto) > 0
        corners = np.append(True, rises) | np.append(rises, True)
        per_scan = [np.bincount(judged.nodule_scans[m], minlength=judged.scans) for m in members]
        return cls(
            scores[corners],
            judged.false_scans[false],
            judged.nodule_scans[found],
            np.searchsorted(-false_at, -scores[corners], side="right"),
            found_upto[corners],
            members[:, found],
            np.stack(per_scan),
        )

    def counts(
        self, weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """False positives ``[K]``, hits of each class ``[G, K]`` and its nodules ``[G]``.

        Args:
            weights: how often each scan counts ``[scans]``.
        """
        false = np.append(0, weights[self.false_scans].cumsum())[self.false_upto]
        hits = np.zeros((len(self.found_members), len(self.found_scans) + 1))
        (self.found_members * weights[self.found_scans]).cumsum(axis=1, out=hits[:, 1:])
        return false, hits[:, self.found_upto], self.nodules @ weights

    def sensitivities(
        self, weights: NDArray[np.float64], rates: Sequence[float]
    ) -> NDArray[np.float64]:
        """Of each class at each rate ``[G, L]``; NaN where it has no nodule that counts."""
        false, hits, nodules = self.counts(weights)
        fps = false / weights.sum()
        read = np.stack([np.interp(rates, fps, own) for own in hits])
        with np.errstate(invalid="ignore"):
            return read / nodules[:, None]
