"""Where nodules lie in a simulated thorax, and how a scan's voxels share them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from pathogan_core.cohorts.thorax_body import Body
from pathogan_core.cohorts.thorax_grid import SHAPE, X, Y, Z, value_at, voxel_positions
from pathogan_core.cohorts.thorax_lungs import Lungs
from pathogan_core.cohorts.thorax_nodules import (
    MARGIN_MM,
    Nodule,
    attenuation_map,
    diameter_of_volume,
)
from pathogan_core.cohorts.thorax_trees import Branches
from pathogan_core.errors import PathoganError

GAP_MM = 3.0
"""Least distance between the spheres of two nodules."""

PLEURAL_DEPTH = (0.62, 0.85)
"""Depth of a juxta-pleural nodule's centre below the lung's surface, in radii."""


@dataclass(frozen=True)
class PlacedNodule:
    """A nodule in the voxels of a scan.

    Attributes:
        nodule: what was asked for.
        centre_mm: z, y, x of its centre of mass, scan-local (voxel index times spacing).
        diameter_mm: of the sphere with the volume that lies in the lung.
        corner: first voxel of the arrays below in the scan, z, y, x.
        mask: the voxels that are nodule for the most part, bool [z, y, x].
        occupancy: share of every voxel that is drawn as nodule, with its margin; float32.
        hu: its attenuation; float32.
    """

    nodule: Nodule
    centre_mm: tuple[float, float, float]
    diameter_mm: float
    corner: tuple[int, int, int]
    mask: np.ndarray
    occupancy: np.ndarray
    hu: np.ndarray

    def whole_mask(self, shape: tuple[int, int, int]) -> np.ndarray:
        """The mask in a scan of this shape, bool [z, y, x]."""
        whole = np.zeros(shape, bool)
        whole[tuple(slice(c, c + n) for c, n in zip(self.corner, self.mask.shape, strict=True))] = (
            self.mask
        )
        return whole


def find_places(
    rng: np.random.Generator,
    nodules: Sequence[Nodule],
    body: Body,
    lungs: Lungs,
    vessels: Branches,
    half_mm: np.ndarray,
) -> list[np.ndarray]:
    """A place for the centre of every nodule, z, y, x in mm; the largest choose first.

    Args:
        rng: source of randomness.
        nodules: what is to be placed.
        body, lungs, vessels: the anatomy.
        half_mm: half of the scan's extent z, y, x.

    Raises:
        PathoganError: no room for one of them.
    """
    places: list[np.ndarray] = [np.zeros(3)] * len(nodules)
    taken: list[tuple[np.ndarray, float]] = []
    tree = cKDTree(vessels.middles())
    for number in sorted(range(len(nodules)), key=lambda i: -nodules[i].shape.diameter_mm):
        nodule = nodules[number]
        radius = nodule.shape.diameter_mm / 2
        candidates = candidates_for(rng, nodule, body, lungs, vessels)
        fits = (np.abs(candidates) < half_mm - 1.4 * radius - 1).all(axis=1)
        for centre, other in taken:
            fits &= np.linalg.norm(candidates - centre, axis=1) > radius + other + GAP_MM
        candidates = candidates[fits]
        if nodule.site == "parenchyma" and len(candidates):
            distance, branch = tree.query(candidates)
            clear = distance > vessels.start_radius[branch] + 0.5 * min(radius, 4)
            candidates = candidates[clear] if clear.any() else candidates
        if not len(candidates):
            raise PathoganError(
                f"no room for a {nodule.site.replace('_', '-')} nodule of {2 * radius:.1f} mm",
                where="nodules",
                remedy="ask for fewer or smaller ones, or for a larger scan",
            )
        places[number] = candidates[rng.integers(len(candidates))]
        taken.append((places[number], radius))
    return places


def candidates_for(
    rng: np.random.Generator, nodule: Nodule, body: Body, lungs: Lungs, vessels: Branches
) -> np.ndarray:
    """Centres [n, 3] in mm that a nodule's site allows."""
    radius = nodule.shape.diameter_mm / 2
    if nodule.site == "juxta_vascular":
        near = vessels.where((vessels.start_radius > 0.8) & (vessels.start_radius < 3))
        along = near.stop - near.start
        across = np.cross(along, rng.normal(0, 1, along.shape))
        across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
        reach = 0.8 * radius + 0.5 * near.start_radius
        centres = near.middles() + reach[:, None] * across
        return centres[value_at(lungs.depth, centres) > radius + 1]
    depth = lungs.depth
    if nodule.site == "parenchyma":
        allowed = depth > radius + 2.0
    else:
        low, high = PLEURAL_DEPTH
        wall = np.abs(depth + body.cavity) < np.maximum(2.0, 0.3 * depth)
        allowed = (depth > low * radius) & (depth < max(high * radius, low * radius + 2)) & wall
    z, y, x = np.unravel_index(np.flatnonzero(allowed), SHAPE)
    centres = np.stack([Z.ravel()[z], Y.ravel()[y], X.ravel()[x]], axis=1).astype(float)
    centres += rng.uniform(-1, 1, centres.shape)
    if nodule.site == "juxta_pleural":
        # The grid is coarser than a small nodule: move each centre to the depth it should have.
        target = rng.uniform(*PLEURAL_DEPTH, len(centres)) * radius
        for _ in range(2):
            missing = target - value_at(lungs.depth, centres)
            centres += inward(lungs, centres) * missing[:, None]
    return centres


def inward(lungs: Lungs, points: np.ndarray, step: float = 2.0) -> np.ndarray:
    """Unit vectors [n, 3] towards the inside of the lung."""
    steps = step * np.eye(3)
    slope = np.stack(
        [value_at(lungs.depth, points + e) - value_at(lungs.depth, points - e) for e in steps],
        axis=1,
    )
    return slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-6)


def put(
    rng: np.random.Generator,
    nodule: Nodule,
    place: np.ndarray,
    lungs: Lungs,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
) -> PlacedNodule:
    """Put one nodule into a scan: what every voxel near it holds."""
    spacing_mm = np.array(spacing)
    blur = float(np.interp(nodule.margin, range(1, 6), MARGIN_MM))
    blur = min(blur, nodule.shape.diameter_mm / 8)
    half = np.array(nodule.shape.occupancy.shape) * nodule.shape.spacing / 2 + 3 * blur + 1
    positions = [voxel_positions(n, s) for n, s in zip(shape, spacing, strict=True)]
    part = []
    for position, middle, reach in zip(positions, place, half, strict=True):
        low, high = np.searchsorted(position, [middle - reach, middle + reach])
        part.append(slice(max(int(low) - 1, 0), min(int(high) + 1, len(position))))
    axes = [p[s] for p, s in zip(positions, part, strict=True)]
    exact = shared(nodule, axes, place, spacing)
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    in_lung = np.clip(0.5 - value_at(lungs.distance, grid) / min(spacing), 0, 1)
    exact *= in_lung.reshape(exact.shape)
    centre = (exact.reshape(-1, 1) * grid).sum(axis=0) / exact.sum()
    centre += (np.array(shape) - 1) / 2 * spacing_mm
    drawn = ndimage.gaussian_filter(exact, blur / spacing_mm, truncate=3) if blur else exact
    return PlacedNodule(
        nodule=nodule,
        centre_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
        diameter_mm=diameter_of_volume(float(exact.sum(dtype=float) * spacing_mm.prod())),
        corner=(part[0].start, part[1].start, part[2].start),
        mask=exact >= min(0.5, float(exact.max())),
        occupancy=drawn.astype(np.float32),
        hu=attenuation_map(rng, nodule, exact, spacing),
    )


def shared(
    nodule: Nodule, axes: Sequence[np.ndarray], place: np.ndarray, spacing: Sequence[float]
) -> np.ndarray:
    """Share of every voxel that a nodule takes: its mean over points spread in the voxel."""
    counts = [
        int(np.clip(np.ceil(s / t), 1, 5))
        for s, t in zip(spacing, nodule.shape.spacing, strict=True)
    ]
    fine = [
        (a[:, None] + voxel_positions(c, s / c)).ravel() - p
        for a, c, s, p in zip(axes, counts, spacing, place, strict=True)
    ]
    values = nodule.shape.at([fine[0][:, None, None], fine[1][:, None], fine[2]])
    split = [n for a, c in zip(axes, counts, strict=True) for n in (len(a), c)]
    return values.reshape(split).mean(axis=(1, 3, 5)).astype(np.float64)
