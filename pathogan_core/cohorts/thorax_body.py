"""A simulated body: what differs between patients, the cavity within the ribs, muscle, fat, skin.

Sizes are choices within the range that adults show; they reproduce no measured distribution.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pathogan_core.cohorts.brain_anatomy import smooth_minimum
from pathogan_core.cohorts.thorax_grid import STEP, X, Y, Z, bump, ramp, random_field

WIDTH, DEPTH = 128.0, 92.0
"""Half width and half depth in mm of the cavity that organs are laid out for."""


@dataclass(frozen=True)
class Build:
    """What is drawn about a body; lengths in mm.

    Attributes:
        height: length of the chest relative to the usual 250 mm.
        width, depth: half extents of the cavity within the ribs.
        shape: exponent of its cross-section; 2 is an ellipse.
        kyphosis: how much the spine bends forward at both ends.
        scoliosis: how far it bends to the side.
        muscle: relative to the usual.
        fat: below the skin at the side.
        breast: extra thickness in front; 0 in men.
        heart: size relative to the usual.
        domes: height of the right and the left dome of the diaphragm.
        age: years.
        contrast: HU that contrast agent adds to the aorta; 0 without any.
        mediastinal_fat: relative to the usual.
    """

    height: float
    width: float
    depth: float
    shape: float
    kyphosis: float
    scoliosis: float
    muscle: float
    fat: float
    breast: float
    heart: float
    domes: tuple[float, float]
    age: float
    contrast: float
    mediastinal_fat: float

    def describe(self) -> dict[str, object]:
        """What was drawn, JSON-able."""
        return {
            k: [round(x, 2) for x in v] if isinstance(v, tuple) else round(v, 3)
            for k, v in asdict(self).items()
        }

    @property
    def apex(self) -> float:
        """Height of the top of the lungs."""
        return 125 * self.height

    @property
    def scale(self) -> np.ndarray:
        """Factors [z, y, x] from the usual layout of organs to this body's."""
        return np.array([self.height, self.depth / DEPTH, self.width / WIDTH])


def draw_build(rng: np.random.Generator) -> Build:
    """Draw a body."""
    woman = rng.random() < 0.45
    size = rng.normal(0.95 if woman else 1.03, 0.05)
    age = float(np.clip(rng.normal(60, 13), 22, 88))
    fat = float(np.clip(rng.lognormal(np.log(15 if woman else 12), 0.45), 4, 38))
    height = float(np.clip(size * rng.normal(1, 0.06), 0.8, 1.2))
    dome = -62 * height + rng.normal(0, 9)
    return Build(
        height=height,
        width=float(np.clip(WIDTH * size * rng.normal(1, 0.04), 102, 150)),
        depth=float(np.clip(DEPTH * size * rng.normal(1, 0.06), 72, 112)),
        shape=float(rng.uniform(2.1, 2.6)),
        kyphosis=float(np.clip(rng.normal(16 + 0.16 * age, 6), 8, 42)),
        scoliosis=float(rng.normal(0, 4)),
        muscle=float(np.clip(rng.normal(0.88 if woman else 1.08, 0.12), 0.6, 1.4)),
        fat=fat,
        breast=float(np.clip(rng.normal(18 + 1.2 * fat, 8), 8, 60)) if woman else 0.0,
        heart=float(np.clip(rng.normal(1, 0.09), 0.8, 1.3)),
        domes=(float(dome), float(dome - rng.uniform(2, 18))),
        age=age,
        contrast=float(rng.uniform(90, 230)) if rng.random() < 0.5 else 0.0,
        mediastinal_fat=float(np.clip(0.5 + fat / 24 + rng.normal(0, 0.25), 0.3, 2.2)),
    )


def back_of_cavity(build: Build, z: Any) -> Any:
    """y in mm of the cavity's back at height z (a number or an array)."""
    return 0.96 * build.depth - build.kyphosis * ((z - 10) / 125) ** 2 / (1 + ((z - 10) / 180) ** 2)


def middle_of_body(build: Build, z: np.ndarray) -> np.ndarray:
    """x in mm of the spine at height z."""
    return build.scoliosis * np.sin((z + 20) / 75)


@dataclass(frozen=True)
class Body:
    """Surfaces of a body: signed distances in mm on the grid, negative inside.

    Attributes:
        cavity: the space within the ribs.
        trunk: a hull of the cavity that does not narrow to the top of the lungs.
        muscle: outer surface of the muscles.
        skin: surface of the body.
        angle: about the cavity's axis, 0 at the spine, pi at the sternum, the same on both sides.
        septa: zero along sheets of fat between muscles, unit variance.
        plane: zero along a layer of fat between the ribs and the outer muscles, about mm.
    """

    cavity: np.ndarray
    trunk: np.ndarray
    muscle: np.ndarray
    skin: np.ndarray
    angle: np.ndarray
    septa: np.ndarray
    plane: np.ndarray


def make_body(rng: np.random.Generator, build: Build) -> Body:
    """The surfaces of one body."""
    from_top = np.clip((build.apex - Z) / (250 * build.height), 0, None)
    open_to = 1 - np.minimum(from_top, 1)
    half_width = build.width * np.sqrt(np.maximum(1 - open_to**2.4, 4e-4))
    half_width = half_width * (1 - 0.07 * ramp(from_top, 0.75, 1.3))
    half_depth = build.depth * np.sqrt(np.maximum(1 - open_to**2.8, 4e-4))
    half_depth = half_depth * (1 - 0.05 * ramp(from_top, 0.85, 1.4))
    back = back_of_cavity(build, Z)
    middle = middle_of_body(build, Z)
    forward = 14 * open_to**4
    cavity = tube_of_sections(
        half_width, half_depth, back - half_depth - forward, middle, build.shape
    )
    # Below the closing top a wall that leans in is nearer than its distance within the slice.
    lean = np.gradient(half_width, STEP, axis=0)
    cavity = np.maximum(cavity * np.maximum(1 / np.sqrt(1 + lean**2), 0.6), Z - build.apex)
    sway = 2.0 * random_field(rng, 45)
    cavity += sway

    shoulders = ramp(-Z, -build.apex - 90, -build.apex - 5)
    shoulder_width = 55 + (0.95 * build.width - 55) * shoulders
    shoulder_depth = 56 + (0.82 * build.depth - 56) * shoulders
    trunk_width = -smooth_minimum(-half_width, -shoulder_width, 4.0)
    trunk_depth = -smooth_minimum(-half_depth, -shoulder_depth, 4.0)
    trunk = tube_of_sections(trunk_width, trunk_depth, back - trunk_depth, middle, build.shape)
    trunk += sway
    angle = np.arctan2(
        np.abs(X - middle) / trunk_width, (Y - (back - trunk_depth)) / trunk_depth
    ).astype(np.float32)

    upper = bump(Z, 0.45 * build.apex, 0.55 * build.apex)
    thickness = (
        18
        + 19 * bump(angle, 0.3, 0.24)
        + 9 * bump(angle, 0.95, 0.4)
        + 13 * bump(angle, 0.0, 0.12)
        + 15 * bump(angle, 2.42, 0.38) * bump(Z, 0.42 * build.apex, 0.4 * build.apex)
        + 12 * bump(angle, 0.9, 0.45) * upper
        + 14 * shoulders * ramp(Z, 0.6 * build.apex, 1.0 * build.apex)
        - 5 * bump(angle, np.pi, 0.22)
    )
    muscle = trunk - (9 + (thickness - 9) * build.muscle) + 1.5 * random_field(rng, 14)
    layer = build.fat * (0.75 + 0.35 * np.sin(angle) ** 2 + 0.25 * ramp(angle, 1.8, 3.0))
    layer = layer * (1 - 0.35 * bump(angle, 0.0, 0.5)) * (1 + 0.5 * ramp(-Z, 60, 150))
    if build.breast:
        layer = layer + build.breast * bump(angle, 2.36, 0.36) * bump(Z, 2, 46 * build.height)
    skin = muscle - np.maximum(layer, 3) + 1.0 * random_field(rng, 30)
    # The back lies on the table, which flattens it.
    lowest = back_of_cavity(build, -20.0) + 34 * build.muscle + 0.55 * build.fat
    skin = -smooth_minimum(-skin, lowest - Y, 3.0)
    return Body(
        cavity=cavity.astype(np.float32),
        trunk=trunk.astype(np.float32),
        muscle=muscle.astype(np.float32),
        skin=skin.astype(np.float32),
        angle=angle,
        septa=random_field(rng, 13, band=2.0),
        plane=(trunk - 11.5 - 0.28 * thickness + 1.6 * random_field(rng, 15)).astype(np.float32),
    )


def tube_of_sections(
    half_width: np.ndarray,
    half_depth: np.ndarray,
    centre_y: np.ndarray,
    centre_x: np.ndarray,
    exponent: float,
) -> np.ndarray:
    """About the signed distance in mm, within a slice, to a superellipse at every height."""
    across = (X - centre_x) / half_width
    along = (Y - centre_y) / half_depth
    p = np.float32(exponent)
    a, b = np.abs(across), np.abs(along)
    power_a, power_b = a ** (p - 1), b ** (p - 1)
    level = np.maximum(power_a * a + power_b * b, 1e-4) ** (1 / p)
    # The level's gradient in closed form, by which its excess becomes a distance.
    slope = np.hypot(power_a / half_width, power_b / half_depth) * level ** (1 - p)
    return np.clip((level - 1) / np.maximum(slope, 2e-3), -150, 200)
