"""What counts as a hit in LUNA16: a mark near enough to a nodule's centre.

The rules, for each scan:

- Of more than 100 marks only those count whose score is strictly above that of the 101st.
- A mark hits a nodule if it lies strictly within the nodule's radius of its centre. Of several hits
  the best score counts, and the others are neither hits nor false positives. Nodules that overlap
  may share a mark.
- A mark that hits no nodule but an excluded finding drops out. An excluded finding of negative
  diameter is one of unknown size and counts as 10 mm.
- Every other mark is a false positive. Nodules that no mark hits stay in the denominator.

From there on see `cpm`. The challenge is described in Setio et al. (2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.cpm import Judged
from pathogan_core.evaluation.detection import grouped

MOST_MARKS = 100
"""Marks of a scan that count at most."""
UNKNOWN_DIAMETER_MM = 10.0
"""What the negative diameter of an excluded finding stands for."""


@dataclass(frozen=True, eq=False)
class Findings:
    """Spheres in scans: nodules, or what is neither nodule nor normal.

    Args:
        scans: int64 ``[M]``, the scan of each, from 0.
        centres_mm: finite ``[M, 3]``, in the same coordinates as marks, whichever they are.
        diameters_mm: finite ``[M]``.
    """

    scans: NDArray[np.int64]
    centres_mm: NDArray[np.float64]
    diameters_mm: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Marks:
    """What a detector marked.

    Args:
        scans: int64 ``[N]``, the scan of each, from 0.
        centres_mm: finite ``[N, 3]``.
        scores: finite ``[N]``, higher where the detector is surer.
    """

    scans: NDArray[np.int64]
    centres_mm: NDArray[np.float64]
    scores: NDArray[np.float64]


def judge(
    scans: int, nodules: Findings, excluded: Findings, marks: Marks, most_marks: int = MOST_MARKS
) -> Judged:
    """Apply the rules above.

    Args:
        scans: how many there are.
        nodules: what is to be found.
        excluded: findings on which a mark is no mistake.
        marks: of the detector.
        most_marks: of a scan that count.

    Raises:
        PathoganError: no scans, a scan there is not, a number that is not finite, or a nodule whose
            diameter is not positive.
    """
    for name, given in (("nodules", nodules), ("excluded", excluded), ("marks", marks)):
        _check(given, scans, name)
    if not (nodules.diameters_mm > 0).all():
        number = int(np.flatnonzero(~(nodules.diameters_mm > 0))[0])
        problem = f"the diameter of nodule {number} is {nodules.diameters_mm[number]:g} mm"
        raise PathoganError(problem, where="nodules", remedy="give diameters above 0")
    found_at = np.full(len(nodules.scans), -np.inf)
    is_false = np.zeros(len(marks.scans), dtype=bool)
    best_first = np.argsort(-marks.scores, kind="stable")
    by_scan = zip(
        grouped(marks.scans, scans, best_first),
        grouped(nodules.scans, scans, np.arange(len(nodules.scans))),
        grouped(excluded.scans, scans, np.arange(len(excluded.scans))),
        strict=True,
    )
    for own, sought, ignored in by_scan:
        if len(own) > most_marks:
            own = own[marks.scores[own] > marks.scores[own[most_marks]]]
        hits = _within(marks, own, nodules, sought)
        scores = np.where(hits, marks.scores[own][:, None], -np.inf)
        found_at[sought] = scores.max(axis=0, initial=-np.inf)
        settled = hits.any(axis=1) | _within(marks, own, excluded, ignored).any(axis=1)
        is_false[own[~settled]] = True
    return Judged(scans, nodules.scans, found_at, marks.scans[is_false], marks.scores[is_false])


def _within(
    marks: Marks, rows: NDArray[np.intp], findings: Findings, columns: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Whether each mark lies strictly within each finding's radius ``[D, T]``."""
    apart = marks.centres_mm[rows][:, None] - findings.centres_mm[columns][None]
    diameters = findings.diameters_mm[columns]
    radii = np.where(diameters < 0, UNKNOWN_DIAMETER_MM, diameters) / 2
    return (apart**2).sum(axis=2) < radii**2


def _check(given: Findings | Marks, scans: int, where: str) -> None:
    values = given.scores if isinstance(given, Marks) else given.diameters_mm
    if not len(given.scans) == len(given.centres_mm) == len(values):
        remedy = "give one scan, one centre and one number for each"
        raise PathoganError("lengths differ", where=where, remedy=remedy)
    strange = given.scans[(given.scans < 0) | (given.scans >= scans)]
    if len(strange):
        problem = f"one is in scan {strange[0]} of {scans}"
        raise PathoganError(problem, where=where, remedy=f"number scans from 0 to {scans - 1}")
    if not (np.isfinite(given.centres_mm).all() and np.isfinite(values).all()):
        raise PathoganError("a number is not finite", where=where, remedy="give finite numbers")
