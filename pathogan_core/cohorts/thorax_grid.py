"""Where a simulated thorax is described: millimetres about its middle, and a coarse grid of them.

The patient's axes are [z, y, x] in LPS (z to the head, y to the back, x to the patient's left), in
mm from the middle of the chest. Smooth anatomy is a signed distance on a grid of `STEP` mm that
never depends on the scan, negative inside; a scan samples it slice by slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from pathogan_core.cohorts.brain_template import RandomField

STEP = 3.0
"""Distance of the coarse grid's nodes in mm; finer anatomy is drawn in the scan itself."""

REACH = (210.0, 165.0, 225.0)
"""Half of the grid's extent in mm; a scan that reaches further repeats the border."""

Z, Y, X = np.meshgrid(
    *(np.arange(-r, r + STEP / 2, STEP, dtype=np.float32) for r in REACH),
    indexing="ij",
    sparse=True,
)
SHAPE = (Z.size, Y.size, X.size)

NEAR = 12.0
"""Distances are stored up to this many mm from a surface."""

Window = tuple[slice, slice, slice]
Vector = Sequence[float] | np.ndarray


def stream(seed: int, purpose: int, *more: int) -> np.random.Generator:
    """Randomness of one purpose in the scan with this seed."""
    return np.random.default_rng([seed, purpose, *more])


def window(low: Vector, high: Vector) -> Window:
    """The part of the grid between two corners in mm, as slices; empty where it lies outside."""
    bounds = []
    for a, b, reach, size in zip(low, high, REACH, SHAPE, strict=True):
        start = int(np.clip(np.floor((a + reach) / STEP), 0, size))
        stop = int(np.clip(np.ceil((b + reach) / STEP) + 1, start, size))
        bounds.append(slice(start, stop))
    return bounds[0], bounds[1], bounds[2]


def axes_of(part: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """z, y and x in mm of a part of the grid, ready to be broadcast."""
    return Z[part[0]], Y[:, part[1]], X[:, :, part[2]]


def random_field(
    rng: np.random.Generator, sigma_mm: float, band: float | None = None
) -> np.ndarray:
    """A Gaussian random field on the grid with zero mean and unit variance; see `RandomField`."""
    field = RandomField(rng, SHAPE, sigma_mm / STEP, band)
    z, y, x = (
        cubic_weights(np.arange(n) / field.step, size)
        for n, size in zip(SHAPE, field.coarse.shape, strict=True)
    )
    within = np.matmul(y, np.matmul(field.coarse, x.T))
    return np.matmul(z, within.reshape(len(within), -1)).reshape(SHAPE)


def ramp(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 up to `low`, 1 from `high`, smooth in between."""
    share = np.clip((value - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


def bump(value: np.ndarray, middle: float, width: float) -> np.ndarray:
    """Gaussian of height 1."""
    return np.exp(-(((value - middle) / width) ** 2))


def ellipsoid(part: Window, centre: Vector, radii: Vector) -> np.ndarray:
    """About the signed distance in mm to an ellipsoid with axes along the patient's."""
    away = [a - c for a, c in zip(axes_of(part), centre, strict=True)]
    level = np.sqrt(1e-12 + sum((a / r) ** 2 for a, r in zip(away, radii, strict=True)))
    slope = np.sqrt(sum((a / r**2) ** 2 for a, r in zip(away, radii, strict=True)))
    # In the very middle both vanish.
    return (level - 1) * np.minimum(level / np.maximum(slope, 1e-9), max(radii))


def polyline(corners: Sequence[Vector] | np.ndarray, per_corner: int = 6) -> np.ndarray:
    """A smooth curve through corners of any number of columns (Catmull-Rom)."""
    c = np.asarray(corners, np.float64)
    c = np.concatenate([2 * c[:1] - c[1:2], c, 2 * c[-1:] - c[-2:-1]])
    t = np.arange(per_corner)[:, None] / per_corner
    pieces = [
        0.5
        * (
            2 * b
            + (c_ - a) * t
            + (2 * a - 5 * b + 4 * c_ - d) * t**2
            + (3 * b - a - 3 * c_ + d) * t**3
        )
        for a, b, c_, d in zip(c, c[1:], c[2:], c[3:], strict=False)
    ]
    return np.concatenate([*pieces, c[-2:-1]])


def lower_to_tube(field: np.ndarray, line: np.ndarray) -> None:
    """Lower a field to the signed distance in mm from a tube where that is smaller.

    Args:
        field: on the whole grid.
        line: [n, 4]: z, y, x, radius in mm of the points that the tube's axis joins.
    """
    for start, stop in pairwise(line):
        reach = max(start[3], stop[3]) + NEAR
        part = window(
            np.minimum(start, stop)[:3] - reach,
            np.maximum(start, stop)[:3] + reach,
        )
        distance = capsule(axes_of(part), start, stop)
        np.minimum(field[part], distance, out=field[part])


def capsule(axes: Sequence[np.ndarray], start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Signed distance in mm to a straight tube whose radius (fourth column) may change."""
    along = (stop - start)[:3].astype(np.float32)
    away = [a - np.float32(s) for a, s in zip(axes, start[:3], strict=True)]
    share = sum(a * v for a, v in zip(away, along, strict=True)) / max(float(along @ along), 1e-6)
    share = np.clip(share, 0, 1)
    square = sum((a - share * v) ** 2 for a, v in zip(away, along, strict=True))
    radius = np.float32(start[3]) + share * np.float32(stop[3] - start[3])
    return np.sqrt(square) - radius


class Sampler:
    """Samples fields of the grid in the voxels of a scan, by cubic interpolation.

    A slice is sampled in two steps, so that what a block of rows needs stays in the cache.

    Args:
        fields: float32 ``[n, *SHAPE]``.
        shape: of a scan whose middle is the patient's, [z, y, x].
        spacing: z, y, x in mm.
    """

    def __init__(self, fields: np.ndarray, shape: Sequence[int], spacing: Sequence[float]):
        places = [
            (voxel_positions(n, s) + reach) / STEP
            for n, s, reach in zip(shape, spacing, REACH, strict=True)
        ]
        self.fields = fields
        self.levels, self.rows, columns = (
            cubic_weights(p, n) for p, n in zip(places, SHAPE, strict=True)
        )
        self.columns = np.ascontiguousarray(columns.T)

    def across(self, number: int, out: np.ndarray) -> np.ndarray:
        """Fields of slice `number` at the voxels of x and the nodes of y, [n, nodes, x]."""
        weights = self.levels[number]
        plane = sum(weights[t] * self.fields[:, t] for t in np.flatnonzero(weights))
        return np.matmul(plane, self.columns, out=out)

    def block(self, across: np.ndarray, rows: slice, out: np.ndarray) -> np.ndarray:
        """Fields of some rows of a slice, [n, rows, x]."""
        weights = self.rows[rows]
        used = np.flatnonzero(weights.any(axis=0))
        nodes = slice(int(used[0]), int(used[-1]) + 1)
        return np.matmul(np.ascontiguousarray(weights[:, nodes]), across[:, nodes], out=out)


def voxel_positions(count: int, spacing: float) -> np.ndarray:
    """Positions in mm of the voxels of an axis about its middle."""
    return (np.arange(count) - (count - 1) / 2) * spacing


def cubic_weights(places: np.ndarray, nodes: int) -> np.ndarray:
    """Weights of Catmull-Rom interpolation at places counted in nodes, float32 [places, nodes].

    Beyond the first and the last node the value is theirs.
    """
    place = np.clip(np.asarray(places, float), 0, nodes - 1)
    low = np.minimum(place.astype(int), nodes - 2)
    t = place - low
    taps = (
        (-t + 2 * t**2 - t**3) / 2,
        (2 - 5 * t**2 + 3 * t**3) / 2,
        (t + 4 * t**2 - 3 * t**3) / 2,
        (t**3 - t**2) / 2,
    )
    weights = np.zeros((len(place), nodes), np.float32)
    for offset, tap in zip((-1, 0, 1, 2), taps, strict=True):
        np.add.at(weights, (np.arange(len(place)), np.clip(low + offset, 0, nodes - 1)), tap)
    return weights


def value_at(field: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A field of the grid at points [n, 3] in mm, by linear interpolation."""
    place = (points + np.array(REACH)) / STEP
    place = np.clip(place, 0, np.array(SHAPE) - 1.001)
    low = place.astype(int)
    share = place - low
    result = np.zeros(len(points))
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, share, 1 - share), axis=1)
        result += weight * field[tuple((low + corner).T)]
    return result
