"""Arteries, veins and bronchi of simulated lungs, grown from the hilum to the periphery.

Every lobe's tree supplies evenly spread points of that lobe: a branch runs part of the way to the
middle of the points it supplies, which a plane through the branch then shares out between its two
daughters, until each has one (the principle of Tawhai, Pullan and Hunter, Annals of Biomedical
Engineering 28, 2000; own simplified form, a whole generation at a time).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pathogan_core.cohorts.thorax_grid import SHAPE, STEP, X, Y, Z, value_at
from pathogan_core.cohorts.thorax_lungs import LOBES, Lungs

PITCH = 7.5
"""Distance in mm between the points that the smallest drawn vessels supply."""

TIP_RADIUS = 0.36
"""Radius in mm of a vessel that supplies one point."""

CALIBRE = 2.75
"""A parent's radius to this power is the sum of its daughters'; Murray's law has 3."""

STRIDE = 0.42
"""Share of the way to the middle of its points that a branch runs before it divides."""

BRONCHUS_FROM = 9
"""Points that an artery supplies where the bronchus beside it is no longer drawn."""


@dataclass(frozen=True)
class Branches:
    """Curved branches: quadratic Bézier curves with a radius that changes linearly.

    Attributes:
        start, control, stop: [n, 3], z, y, x in mm.
        start_radius, stop_radius: [n], mm.
        supplies: [n], points that each branch supplies.
    """

    start: np.ndarray
    control: np.ndarray
    stop: np.ndarray
    start_radius: np.ndarray
    stop_radius: np.ndarray
    supplies: np.ndarray

    def where(self, chosen: np.ndarray) -> Branches:
        """Some of the branches."""
        return Branches(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    def middles(self) -> np.ndarray:
        """The middle of every branch, [n, 3] in mm."""
        return (self.start + 2 * self.control + self.stop) / 4

    @property
    def lengths(self) -> np.ndarray:
        """About the length of every branch in mm."""
        chord = np.linalg.norm(self.stop - self.start, axis=1)
        way = np.linalg.norm(self.control - self.start, axis=1)
        way += np.linalg.norm(self.stop - self.control, axis=1)
        return (chord + way) / 2


def join(parts: list[Branches]) -> Branches:
    """All branches of several trees."""
    return Branches(
        *(np.concatenate([getattr(p, n) for p in parts]) for n in Branches.__dataclass_fields__)
    )


def points_to_supply(rng: np.random.Generator, lungs: Lungs) -> tuple[np.ndarray, np.ndarray]:
    """One random point in every cell of `PITCH` mm of the lungs; and the number of its lobe."""
    axes = [np.arange(-(n - 1) / 2 * STEP, (n - 1) / 2 * STEP, PITCH) for n in SHAPE]
    cells = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    points = cells + rng.uniform(0, PITCH, cells.shape)
    inside = value_at(lungs.distance, points) < -2.2
    apart = np.minimum(
        np.abs(value_at(lungs.oblique, points)), np.abs(value_at(lungs.horizontal, points))
    )
    points = points[inside & (apart > 1.5)]
    nearest = np.rint((points - [Z[0, 0, 0], Y[0, 0, 0], X[0, 0, 0]]) / STEP).astype(int)
    lobe = lungs.lobe[tuple(nearest.T)]
    return points[lobe >= 0], lobe[lobe >= 0]


def grow(rng: np.random.Generator, lungs: Lungs, roots: dict[str, np.ndarray]) -> Branches:
    """One tree for both lungs.

    Args:
        rng: source of randomness.
        lungs: where to grow.
        roots: where the trees of the `right` and the `left` lung begin, z, y, x in mm.
    """
    points, lobe = points_to_supply(rng, lungs)
    order = np.argsort(lobe, kind="stable")
    points, group = points[order], lobe[order].astype(int)
    present, group = np.unique(group, return_inverse=True)
    start = np.array([roots[LOBES[number].split()[0]] for number in present], float)
    heading = np.zeros_like(start)
    turn = rng.normal(0, 1, start.shape)
    radius = np.full(len(start), np.nan)
    grown: list[Branches] = []
    while len(start):
        count = np.bincount(group, minlength=len(start))
        middle = np.stack(
            [np.bincount(group, points[:, k], len(start)) / count for k in range(3)], axis=1
        )
        last = count == 1
        stride = np.where(last, 0.92, STRIDE * rng.uniform(0.8, 1.2, len(start)))
        stop = start + stride[:, None] * (middle - start)
        length = np.linalg.norm(stop - start, axis=1)
        ahead = unit(stop - start)
        first = np.linalg.norm(heading, axis=1) == 0
        leaving = np.where(first[:, None], ahead, unit(heading + 0.8 * ahead))
        control = start + 0.45 * length[:, None] * leaving
        control += rng.normal(0, 0.06, control.shape) * length[:, None]
        own = TIP_RADIUS * count ** (1 / CALIBRE) * rng.uniform(0.88, 1.12, len(start))
        begin = np.where(np.isnan(radius), own, np.minimum(1.25 * own, radius))
        grown.append(Branches(start, control, stop, begin, own, count))

        leaving = unit(stop - control)
        normal = unit(np.cross(ahead, turn))
        normal = unit(normal + rng.normal(0, 0.25, normal.shape))
        side = np.einsum("nk,nk->n", points - stop[group], normal[group]) > 0
        keep = ~last[group]
        points, child = points[keep], (2 * group + side)[keep]
        present, group = np.unique(child, return_inverse=True)
        parent = present // 2
        start, heading, turn, radius = stop[parent], leaving[parent], normal[parent], own[parent]
    return join(grown)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors [n, 3] of length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def bronchi_beside(arteries: Branches, roots: dict[str, np.ndarray]) -> tuple[Branches, Branches]:
    """Walls and lumens of the bronchi that run beside the larger arteries."""
    large = arteries.where(arteries.supplies >= BRONCHUS_FROM)
    midline = (roots["left"][2] + roots["right"][2]) / 2
    inward = -np.sign(large.start[:, 2] - midline)
    aside = unit(np.stack([np.full(len(inward), -0.35), np.full(len(inward), 0.75), inward], 1))
    lumen = 0.72
    shift_start = 1.95 * large.start_radius[:, None] * aside
    shift_stop = 1.95 * large.stop_radius[:, None] * aside

    def tube(share: float, wall: float) -> Branches:
        return Branches(
            large.start + shift_start,
            large.control + (shift_start + shift_stop) / 2,
            large.stop + shift_stop,
            share * large.start_radius + wall,
            share * large.stop_radius + wall,
            large.supplies,
        )

    return tube(lumen * 1.18, 0.35), tube(lumen, 0.0)


@dataclass(frozen=True)
class Samples:
    """Points that stand for the volume of branches, ordered by z.

    Attributes:
        place: [n, 3], z, y, x in voxels of a scan.
        share: [n], volume of each in voxels.
    """

    place: np.ndarray
    share: np.ndarray


def sample(branches: Branches, shape: tuple[int, ...], spacing: tuple[float, ...]) -> Samples:
    """Fill branches with points, each less than a voxel, as far as they lie in a scan."""
    spacing_mm = np.array(spacing)
    half = (np.array(shape) - 1) / 2 * spacing_mm
    reach = branches.start_radius + 3 * spacing_mm.max()
    low = np.minimum(np.minimum(branches.start, branches.stop), branches.control)
    high = np.maximum(np.maximum(branches.start, branches.stop), branches.control)
    near = ((high > -half - reach[:, None]) & (low < half + reach[:, None])).all(axis=1)
    b = branches.where(near)
    b = Branches(*(getattr(b, name).astype(np.float32) for name in Branches.__dataclass_fields__))
    fine = float(np.clip(spacing_mm.min(), 0.4, 1.0))
    along = np.maximum(np.ceil(b.lengths / (0.7 * fine)), 2).astype(int)
    radius = (b.start_radius + b.stop_radius) / 2
    across = np.maximum(np.ceil(np.pi * radius**2 / (0.8 * fine) ** 2), 1).astype(int)

    each = along * across
    branch = np.repeat(np.arange(len(each)), each)
    within = np.arange(len(branch)) - np.repeat(np.cumsum(each) - each, each)
    step, ring = np.divmod(within, across[branch])
    t = ((step + 0.5) / along[branch]).astype(np.float32)
    # A sunflower's spiral spreads any number of points evenly over a disc.
    spread = np.sqrt((ring + 0.5) / across[branch]).astype(np.float32)
    turned = (ring * 2.39996 + step * 1.1).astype(np.float32)
    here = b.start_radius[branch] * (1 - t) + b.stop_radius[branch] * t
    one = unit(np.cross(b.stop - b.start, np.array([0.31, 0.57, -0.76], np.float32)))
    other = unit(np.cross(b.stop - b.start, one))
    place = np.empty((len(branch), 3), np.float32)
    u, v = here * spread * np.cos(turned), here * spread * np.sin(turned)
    for k in range(3):
        bent = (1 - t) ** 2 * b.start[branch, k] + t**2 * b.stop[branch, k]
        bent += 2 * t * (1 - t) * b.control[branch, k]
        place[:, k] = bent + u * one[branch, k] + v * other[branch, k]
        place[:, k] = (place[:, k] + half[k]) / spacing_mm[k]
    volume = np.pi * here**2 * (b.lengths / along)[branch] / across[branch]
    inside = (place[:, 0] > -1) & (place[:, 0] < shape[0])
    order = np.flatnonzero(inside)[np.argsort(place[inside, 0], kind="stable")]
    return Samples(place[order], (volume[order] / spacing_mm.prod()).astype(np.float32))


def fill_slice(samples: Samples, number: int, shape: tuple[int, int]) -> np.ndarray:
    """Share of every pixel of slice `number` that samples take, float32 [y, x] in [0, 1]."""
    bounds = np.searchsorted(samples.place[:, 0], [number - 1, number + 1])
    place = samples.place[bounds[0] : bounds[1]]
    share = samples.share[bounds[0] : bounds[1]] * (1 - np.abs(place[:, 0] - number))
    # A border of one pixel takes what lies beside the slice.
    width, height = shape[1] + 2, shape[0] + 2
    y, x = np.clip(place[:, 1] + 1, 0, height - 1.01), np.clip(place[:, 2] + 1, 0, width - 1.01)
    row, column = y.astype(np.int32), x.astype(np.int32)
    y -= row
    x -= column
    corner = row * width + column
    lower, upper = share * y, share * (1 - y)
    total = np.bincount(
        np.concatenate([corner, corner + 1, corner + width, corner + width + 1]),
        np.concatenate([upper * (1 - x), upper * x, lower * (1 - x), lower * x]),
        width * height,
    )
    inner = total.reshape(height, width)[1:-1, 1:-1].astype(np.float32)
    return np.minimum(inner, 1, out=inner)
