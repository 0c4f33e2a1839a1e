"""Which of LIDC-IDRI's reader marks mean the same nodule, and all of them as a table.

LIDC-IDRI does not say which marks belong together. The groups that `pylidc` forms by default are
the usual answer; these are the same groups, formed in seconds. Their rule, with its peculiarity:
marks hang together if their nearest contour points are at most as far apart, *in indices of the
array*, as a slice is thick, *in mm*; and as long as a group has more marks than there were readers,
the whole scan is grouped again with a smaller reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, groupby

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist

from pathogan_core.cohorts.lidc_marks import RATINGS, Mark

READERS = 4
"""Each scan was read by four radiologists, so that a nodule has at most as many marks."""
REACH_FACTOR = 0.9
LEAST_REACH = 0.1
"""Below this, a group of more than `READERS` marks is left as it is."""

TABLE_COLUMNS = (
    *("series", "patient", "nodule", "mark"),
    *("z_mm", "y_mm", "x_mm"),
    *("zmin_mm", "ymin_mm", "xmin_mm", "zmax_mm", "ymax_mm", "xmax_mm"),
    "diameter_mm",
    *RATINGS,
)

Nodule = list[Mark]


def nodules(marks: Sequence[Mark]) -> list[Nodule]:
    """Groups of marks, by scan and from the lowest to the highest; `[nodule][mark]`.

    Args:
        marks: of any number of scans, those of a scan one after another, and all of them: a scan's
            groups depend on every mark in it.
    """
    return [
        nodule
        for _, of_scan in groupby(marks, key=lambda mark: mark.scan.series)
        for nodule in _nodules_of_scan(list(of_scan))
    ]


def _nodules_of_scan(marks: list[Mark]) -> list[Nodule]:
    reach = marks[0].scan.thickness_mm
    distances = contour_distances(marks, reach)
    labels = _grouped(distances, reach)
    while np.bincount(labels).max() > READERS and reach * REACH_FACTOR >= LEAST_REACH:
        reach *= REACH_FACTOR
        labels = _grouped(distances, reach)
    found: list[Nodule] = [[] for _ in range(labels.max() + 1)]
    for mark, label in zip(marks, labels, strict=True):
        found[label].append(mark)
    return sorted(found, key=lambda nodule: np.mean([_centroid(mark)[0] for mark in nodule]))


def _grouped(distances: NDArray[np.float64], reach: float) -> NDArray[np.int32]:
    return connected_components(distances <= reach, directed=False)[1]


def contour_distances(marks: Sequence[Mark], limit: float) -> NDArray[np.float64]:
    """Distances `[n, n]` between the nearest contour points of marks, in indices of the array.

    Args:
        marks: n marks of one scan.
        limit: distances above this are not measured, but infinite.
    """
    distances = np.full((len(marks), len(marks)), np.inf)
    np.fill_diagonal(distances, 0)
    low = np.array([mark.points.min(axis=0) for mark in marks])
    high = np.array([mark.points.max(axis=0) for mark in marks])
    voxels = [_voxels(mark) for mark in marks]
    for a, b in combinations(range(len(marks)), 2):
        gap = np.maximum(np.maximum(low[a] - high[b], low[b] - high[a]), 0)
        if np.sqrt(gap @ gap) > limit:
            continue
        # Most marks of the same nodule share a point.
        near = _distance(marks[a], marks[b], limit) if voxels[a].isdisjoint(voxels[b]) else 0
        distances[a, b] = distances[b, a] = near
    return distances


def _voxels(mark: Mark) -> set[int]:
    """The contour points, a number for each voxel."""
    return set((mark.points @ [1 << 40, 1 << 20, 1]).tolist())


def _distance(a: Mark, b: Mark, limit: float) -> float:
    """Only points in both marks' boxes, grown by the limit, can be so near."""
    first, second = a.points, b.points
    first = first[_within(first, second, limit)]
    second = second[_within(second, first, limit)] if len(first) else second[:0]
    if not len(second):
        return np.inf
    fewer, more = sorted((first, second), key=len)
    # `query` leaves out what is exactly at its bound.
    nearest, _ = cKDTree(fewer).query(more, distance_upper_bound=limit + 1)
    return float(nearest.min()) if nearest.min() <= limit else np.inf


def _within(
    points: NDArray[np.int64], others: NDArray[np.int64], limit: float
) -> NDArray[np.bool_]:
    low, high = others.min(axis=0) - limit, others.max(axis=0) + limit
    return ((points >= low) & (points <= high)).all(axis=1)


def centre_mm(mark: Mark) -> NDArray[np.float64]:
    """The mean of all contour points, as `pylidc` has it: scan-local mm `[z, y, x]`."""
    return _centroid(mark) * mark.scan.spacing_mm


def _centroid(mark: Mark) -> NDArray[np.float64]:
    return mark.points.mean(axis=0)


def box_mm(mark: Mark) -> NDArray[np.float64]:
    """The box of the contours, `[zmin, ymin, xmin, zmax, ymax, xmax]` in scan-local mm.

    A contour is a line through centres of pixels, and stands for its slice in all its height: in
    the plane the box ends at the outermost points, along z half a slice beyond the outermost ones.
    """
    half_slice = np.array([0.5, 0, 0])
    low = mark.points.min(axis=0) - half_slice
    high = mark.points.max(axis=0) + half_slice
    return np.concatenate([low, high]) * np.tile(mark.scan.spacing_mm, 2)


def diameter_mm(mark: Mark) -> float:
    """The greatest distance between two points of the same contour, as `pylidc` has it.

    It lies in an axial plane, and may leave the nodule where this is not convex.
    """
    return mark.scan.pixel_mm * max(
        _greatest_distance(points) for points in np.split(mark.points[:, 1:], mark.starts[1:])
    )


def _greatest_distance(points: NDArray[np.int64]) -> float:
    return float(pdist(points).max(initial=0))


def nodule_table(found: Sequence[Nodule]) -> pd.DataFrame:
    """One row per mark: `series`, `patient`, `nodule`, `mark`, `z_mm`... and the nine ratings.

    `mark` is the database's number, and `nodule` the least of those of the nodule's marks, so that
    it is the same whatever else is in the table. For centre (`z_mm`, `y_mm`, `x_mm`), box
    (`zmin_mm` to `xmax_mm`) and `diameter_mm` see `centre_mm`, `box_mm`, `diameter_mm`.

    Args:
        found: what `nodules` gives; rows are in the same order.
    """
    rows = [
        (
            mark.scan.series,
            mark.scan.patient,
            min(other.number for other in nodule),
            mark.number,
            *centre_mm(mark),
            *box_mm(mark),
            diameter_mm(mark),
            *mark.ratings.values(),
        )
        for nodule in found
        for mark in nodule
    ]
    return pd.DataFrame(rows, columns=list(TABLE_COLUMNS))
