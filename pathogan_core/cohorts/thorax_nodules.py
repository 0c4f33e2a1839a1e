"""Nodules of a simulated thorax: their shape as an array, and what a scan shows of it.

A shape is what a reader outlines, be it a contour of a real mark or one drawn here. The ratings are
those of LIDC-IDRI's readers, 1 to 5 (calcification 1 to 6). Lobulation is a matter of the shape;
margin, spiculation and calcification are added when the shape is put into a scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy import ndimage

from pathogan_core.cohorts.brain_template import RandomField
from pathogan_core.cohorts.thorax_trees import Branches
from pathogan_core.errors import PathoganError

Attenuation = Literal["solid", "part_solid", "ground_glass"]
Site = Literal["parenchyma", "juxta_pleural", "juxta_vascular"]

SOLID_HU, CORE_HU, GLASS_HU = 30.0, 15.0, -600.0
"""Usual attenuation of a solid nodule, of a part-solid one's core, of ground glass."""

CALCIUM_HU = 520.0

MARGIN_MM = (1.5, 1.0, 0.6, 0.3, 0.0)
"""Standard deviation of a border's blur by the margin rating, poorly defined to sharp."""

CALCIFICATIONS = ("popcorn", "laminated", "solid", "non-central", "central", "absent")
"""Meaning of the calcification ratings 1 to 6."""


@dataclass(frozen=True)
class NoduleShape:
    """The space a nodule takes.

    Attributes:
        occupancy: share of every voxel that is nodule, float32 [z, y, x] in [0, 1].
        spacing: of these voxels, z, y, x in mm.
    """

    occupancy: np.ndarray
    spacing: tuple[float, float, float]

    def __post_init__(self) -> None:
        occupancy = self.occupancy
        if occupancy.ndim != 3 or not np.isfinite(occupancy).all():
            raise PathoganError("is no finite 3D array", where="occupancy")
        if not occupancy.any() or occupancy.min() < 0 or occupancy.max() > 1:
            raise PathoganError("is empty or not within [0, 1]", where="occupancy")
        if len(self.spacing) != 3 or min(self.spacing) <= 0:
            raise PathoganError(f"is {self.spacing}", where="spacing", remedy="give three lengths")

    @property
    def volume_mm3(self) -> float:
        """Volume in cubic millimetres."""
        return float(self.occupancy.sum(dtype=float) * np.prod(self.spacing))

    @property
    def diameter_mm(self) -> float:
        """Diameter of the sphere of the same volume."""
        return diameter_of_volume(self.volume_mm3)

    @property
    def centre_mm(self) -> np.ndarray:
        """Centre of mass, z, y, x in mm from the middle of the first voxel."""
        return np.array(ndimage.center_of_mass(self.occupancy)) * self.spacing

    def at(self, offsets: Sequence[np.ndarray]) -> np.ndarray:
        """Occupancy at offsets from the centre of mass (arrays in mm); 0 outside the array."""
        places = [
            (o + c) / s for o, c, s in zip(offsets, self.centre_mm, self.spacing, strict=True)
        ]
        return ndimage.map_coordinates(self.occupancy, np.broadcast_arrays(*places), order=1)


@dataclass(frozen=True)
class Nodule:
    """A nodule to be put into a scan.

    Attributes:
        shape: the space it takes.
        attenuation: "solid", "part_solid" or "ground_glass".
        margin: 1 (poorly defined) to 5 (sharp).
        spiculation: 1 (none) to 5 (marked).
        calcification: 1 to 6, see `CALCIFICATIONS`; 6 is none.
        site: "parenchyma", "juxta_pleural" or "juxta_vascular".
    """

    shape: NoduleShape
    attenuation: Attenuation = "solid"
    margin: float = 4
    spiculation: float = 1
    calcification: int = 6
    site: Site = "parenchyma"

    def __post_init__(self) -> None:
        check_choice("attenuation", self.attenuation, get_args(Attenuation))
        check_choice("site", self.site, get_args(Site))
        check_rating("margin", self.margin, 5)
        check_rating("spiculation", self.spiculation, 5)
        check_rating("calcification", self.calcification, 6)


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Refuse what is not one of the choices."""
    if value not in choices:
        raise PathoganError(
            f"unknown {name} {value!r}", where=name, remedy=f"choose {', '.join(choices)}"
        )


def check_rating(name: str, value: float, most: int) -> None:
    """Refuse a rating that is not between 1 and `most`."""
    if not 1 <= value <= most:
        raise PathoganError(f"is {value}", where=name, remedy=f"give a rating from 1 to {most}")


def diameter_of_volume(volume_mm3: float) -> float:
    """Diameter in mm of the sphere with this volume."""
    return float((6 * volume_mm3 / np.pi) ** (1 / 3))


def draw_shape(
    rng: np.random.Generator, diameter_mm: float, lobulation: float = 1, roughness: float = 1.0
) -> NoduleShape:
    """A rounded, more or less lobed shape with the volume of a sphere of this diameter.

    Args:
        rng: source of randomness.
        diameter_mm: of the sphere of the same volume.
        lobulation: rating from 1 (none) to 5 (marked).
        roughness: of the surface, relative to the usual; 0 with `lobulation` 1 is an ellipsoid.

    Raises:
        PathoganError: a diameter that is not positive, a rating out of range.
    """
    if not diameter_mm > 0:
        raise PathoganError(f"is {diameter_mm}", where="diameter_mm", remedy="give a length in mm")
    check_rating("lobulation", lobulation, 5)
    cells = 21  # voxels a diameter
    size = 2 * cells + 1
    axis = (np.arange(size, dtype=np.float32) - cells) / (cells / 2)  # in radii
    z, y, x = axis[:, None, None], axis[:, None], axis
    stretch = rng.uniform(0.86, 1.14, 3)
    level = np.sqrt((z / stretch[0]) ** 2 + (y / stretch[1]) ** 2 + (x / stretch[2]) ** 2) - 1
    for _ in range(round(1.6 * (lobulation - 1))):
        away = rng.normal(0, 1, 3)
        away *= rng.uniform(0.62, 0.9) / np.linalg.norm(away)
        lobe = np.sqrt((z - away[0]) ** 2 + (y - away[1]) ** 2 + (x - away[2]) ** 2)
        level = np.minimum(level, lobe - rng.uniform(0.42, 0.6))
    level = ndimage.gaussian_filter(level, 1.2)
    rough = RandomField(rng, level.shape, 0.2 * cells).everywhere()
    level += (0.045 + 0.015 * lobulation) * roughness * np.clip(rough, -2, 2)
    # The level of the border is the one that encloses a sphere's volume.
    wanted = np.pi / 6 * cells**3
    border = float(np.partition(level.ravel(), int(wanted))[int(wanted)])
    occupancy = np.clip(0.5 - (level - border) * (cells / 2), 0, 1).astype(np.float32)
    scale = diameter_mm / diameter_of_volume(float(occupancy.sum(dtype=float)))
    return NoduleShape(occupancy, (scale, scale, scale))


def attenuation_map(
    rng: np.random.Generator, nodule: Nodule, occupancy: np.ndarray, spacing: Sequence[float]
) -> np.ndarray:
    """HU inside a nodule, float32 like `occupancy` (its space in voxels of a scan)."""
    size = occupancy.shape
    grain_mm = max(nodule.shape.diameter_mm / 7, 1.0)
    grain = RandomField(rng, size, grain_mm / min(spacing)).everywhere()
    depth = ndimage.distance_transform_edt(np.pad(occupancy > 0.5, 1), sampling=spacing)
    depth = depth[1:-1, 1:-1, 1:-1] / max(float(depth.max()), 1e-6)
    if nodule.attenuation == "ground_glass":
        return (GLASS_HU + rng.normal(0, 35) + 35 * grain).astype(np.float32)
    if nodule.attenuation == "part_solid":
        share = rng.uniform(0.42, 0.62)
        core = np.clip((depth + 0.12 * grain - 1 + share) / 0.16, 0, 1)
        glass = GLASS_HU + rng.normal(0, 35) + 30 * grain
        return (glass + core * (CORE_HU + rng.normal(0, 15) - glass)).astype(np.float32)
    hu = SOLID_HU + rng.normal(0, 12) + 8 * grain
    calcium = calcium_share(rng, nodule.calcification, depth, grain)
    return (hu + calcium * (CALCIUM_HU + rng.normal(0, 90) - hu)).astype(np.float32)


def calcium_share(
    rng: np.random.Generator, calcification: int, depth: np.ndarray, grain: np.ndarray
) -> np.ndarray:
    """Share of calcium in every voxel, for a depth in [0, 1] and a random texture."""
    kind = CALCIFICATIONS[calcification - 1]
    if kind == "popcorn":
        return np.clip((grain - 0.5) / 0.4, 0, 1) * np.clip(4 * depth, 0, 1)
    if kind == "laminated":
        return np.clip(1.2 * np.cos(2 * np.pi * 1.6 * depth) ** 2 - 0.3, 0, 1) * (depth > 0.12)
    if kind == "solid":
        return np.clip(6 * depth, 0, 1)
    if kind == "non-central":
        middle = [rng.uniform(0.3, 0.7) * n for n in depth.shape]
        away = [(np.arange(n) - m) / (0.16 * n) for n, m in zip(depth.shape, middle, strict=True)]
        square = away[0][:, None, None] ** 2 + away[1][:, None] ** 2 + away[2] ** 2
        return np.exp(-square) * np.clip(4 * depth, 0, 1)
    if kind == "central":
        return np.clip((depth - 0.5) / 0.2, 0, 1)
    return np.zeros_like(depth)


def spicules(rng: np.random.Generator, nodule: Nodule, centre: np.ndarray) -> Branches:
    """Fine strands that leave a nodule at `centre` (z, y, x in mm) on all sides."""
    radius = nodule.shape.diameter_mm / 2
    count = round((nodule.spiculation - 1) * (5 + 2.2 * radius))
    away = rng.normal(0, 1, (count, 3))
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    length = radius * rng.uniform(0.35, 0.95, (count, 1)) + 1.5
    start = centre + 0.75 * radius * away
    stop = centre + (radius + length) * (away + rng.normal(0, 0.12, away.shape))
    bend = rng.normal(0, 0.08, away.shape) * length
    thick = rng.uniform(0.4, 0.75, count) * (0.7 + 0.06 * radius)
    ones = np.ones(count, int)
    return Branches(start, (start + stop) / 2 + bend, stop, thick, 0.3 * thick, ones)
