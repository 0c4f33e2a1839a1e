"""Organs between and below the lungs: heart, great vessels, trachea, diaphragm, liver, spleen.

Positions are those of an average chest in mm, placed by hand from general anatomy; each body
stretches them and moves them a little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pathogan_core.cohorts.brain_anatomy import smooth_minimum
from pathogan_core.cohorts.thorax_body import Body, Build, back_of_cavity, middle_of_body
from pathogan_core.cohorts.thorax_grid import (
    NEAR,
    SHAPE,
    STEP,
    Window,
    X,
    Y,
    Z,
    ellipsoid,
    lower_to_tube,
    polyline,
    ramp,
    random_field,
    window,
)
from pathogan_core.cohorts.thorax_skeleton import Skeleton

Points = Sequence[tuple[float, float, float, float]]

CARTILAGE_HU, CANAL_HU = 92.0, 28.0

# Tubes as (share of the aorta's contrast, corners z, y, x, radius): arteries, veins.
AORTA: Points = (
    (-22, -12, 4, 15),
    (2, -20, -8, 16.5),
    (34, -22, -18, 16),
    (56, -8, -10, 14.5),
    (62, 14, 6, 13.5),
    (56, 36, 19, 13),
    (36, 49, 24, 12.5),
    (-20, 53, 21, 11.8),
    (-80, 50, 14, 11.2),
    (-140, 44, 6, 10.5),
    (-210, 40, 3, 9.5),
)
VESSELS: tuple[tuple[float, Points], ...] = (
    (1.0, AORTA),
    (0.95, ((58, -4, -10, 6.5), (80, -2, -16, 6), (104, 6, -24, 5.2), (150, 8, -30, 4.5))),
    (0.95, ((62, 12, 4, 4.5), (84, 14, 12, 4.2), (110, 18, 22, 4), (150, 14, 26, 4))),
    (0.95, ((60, 24, 14, 5.2), (84, 30, 24, 5), (106, 28, 36, 4.8), (122, 16, 60, 4.6))),
    (0.85, ((-18, -40, 12, 14), (0, -38, 14, 14.5), (16, -22, 16, 14), (22, -10, 14, 12))),
    (0.85, ((20, -14, 14, 11), (14, 0, -6, 10.5), (10, 8, -26, 10), (6, 14, -46, 8))),
    (0.85, ((20, -14, 16, 11), (22, 4, 28, 10.5), (20, 18, 40, 9.5), (8, 26, 50, 7.5))),
    (1.1, ((-16, -8, -30, 10.5), (20, -8, -29, 10), (50, -10, -28, 9.5), (66, -14, -27, 9))),
    (1.1, ((66, -14, -27, 8), (88, -10, -34, 7), (112, -2, -46, 6), (150, 0, -40, 6))),
    (1.3, ((64, -16, -26, 7), (76, -30, 0, 6.5), (88, -24, 26, 6.5), (112, -4, 46, 6))),
    (0.5, ((-52, 8, -24, 11.5), (-84, 16, -24, 12), (-120, 26, -24, 11.5), (-210, 34, -20, 11))),
    (0.4, ((44, 38, -14, 4), (36, 50, -8, 4.2), (-40, 58, -4, 3.8), (-140, 56, -4, 3.2))),
    (0.8, ((-8, 24, 18, 8), (-10, 26, 34, 7), (-12, 28, 50, 5.5))),
    (0.8, ((-10, 24, -12, 8), (-14, 22, -32, 7), (-18, 20, -48, 5.5))),
)
OESOPHAGUS: Points = ((210, 34, 2, 6), (60, 42, 3, 6.5), (-40, 40, 6, 7), (-95, 26, 14, 7.5))
TRACHEA: Points = ((210, 14, 0, 8.6), (120, 16, 0, 8.8), (80, 24, -2, 8.8), (45, 29, -4, 9.4))
MAIN_BRONCHI: tuple[Points, ...] = (
    ((45, 29, -4, 9), (34, 30, -18, 7.6), (22, 31, -32, 6.8), (8, 32, -44, 5.4)),
    ((45, 29, -4, 8.5), (33, 31, 14, 6.6), (22, 34, 30, 6), (8, 36, 46, 5)),
)
HILA = {"right": (10.0, 22.0, -50.0), "left": (12.0, 28.0, 54.0)}
"""Where arteries and bronchi enter each lung; veins leave a little lower and further in front."""


@dataclass
class Organs:
    """Distances in mm on the grid, negative inside, and attenuations in HU.

    Attributes:
        distance: to the nearest organ.
        hu: attenuation of the nearest organ.
        mediastinum: distance to what lies between the lungs, fat included.
        diaphragm: height of a point above the diaphragm, about mm, negative below it.
        airway: distance to the lumen of trachea and main bronchi.
        gas: distance to gas in the stomach.
        hila: where vessels enter each lung, z, y, x in mm.
    """

    distance: np.ndarray = field(default_factory=lambda: np.full(SHAPE, NEAR, np.float32))
    hu: np.ndarray = field(default_factory=lambda: np.full(SHAPE, 45, np.float32))
    mediastinum: np.ndarray = field(default_factory=lambda: np.full(SHAPE, NEAR, np.float32))
    diaphragm: np.ndarray = field(default_factory=lambda: np.full(SHAPE, NEAR, np.float32))
    airway: np.ndarray = field(default_factory=lambda: np.full(SHAPE, NEAR, np.float32))
    gas: np.ndarray = field(default_factory=lambda: np.full(SHAPE, NEAR, np.float32))
    hila: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, part: Window, distance: np.ndarray, hu: float) -> None:
        """Put an organ where it is nearer than those before."""
        nearer = distance < self.distance[part]
        self.hu[part][nearer] = hu
        np.minimum(self.distance[part], distance, out=self.distance[part])


def make_organs(rng: np.random.Generator, build: Build, body: Body, skeleton: Skeleton) -> Organs:
    """The organs of one body."""
    organs = Organs()
    place = Layout(build, rng.normal(0, 2.5, 3))
    everywhere = (slice(None),) * 3
    add_heart(rng, build, organs, place)
    blood = 42.0
    for share, corners in VESSELS:
        tube = np.full(SHAPE, NEAR, np.float32)
        lower_to_tube(tube, place.tube(corners, rng))
        organs.add(everywhere, tube, blood + share * build.contrast)
    oesophagus = np.full(SHAPE, NEAR, np.float32)
    lower_to_tube(oesophagus, place.tube(OESOPHAGUS, rng))
    organs.add(everywhere, oesophagus, 38)
    trachea = place.tube(TRACHEA, rng)
    lower_to_tube(organs.airway, trachea)
    for corners in MAIN_BRONCHI:
        bronchus = place.tube(corners, rng)
        bronchus[:, :3] += (trachea[-1] - bronchus[0])[:3] * np.linspace(1, 0, len(bronchus))[
            :, None
        ]
        lower_to_tube(organs.airway, bronchus)
    organs.add(everywhere, organs.airway - 1.6, 32)
    organs.hila = {side: place.point(np.array(point)) for side, point in HILA.items()}

    organs.mediastinum = between_lungs(rng, build, organs.distance, skeleton.column)
    organs.diaphragm = above_diaphragm(rng, build)
    add_abdomen(rng, build, body, organs, place)
    organs.add(everywhere, skeleton.cartilage, CARTILAGE_HU)
    organs.add(everywhere, skeleton.canal, CANAL_HU)
    organs.hu += 4.0 * random_field(rng, 15)
    return organs


@dataclass(frozen=True)
class Layout:
    """Moves the average layout into a body.

    Attributes:
        build: the body.
        shift: z, y, x in mm, of everything.
    """

    build: Build
    shift: np.ndarray

    def point(self, usual: np.ndarray) -> np.ndarray:
        """A point [..., 3] of the average layout (z, y, x in mm) in the body."""
        moved = usual * self.build.scale + self.shift
        # The layout knows no curve of the spine: follow it.
        bend = back_of_cavity(self.build, moved[..., 0]) - 0.96 * self.build.depth
        moved[..., 1] += 0.7 * bend + 0.06 * self.build.depth * ramp(usual[..., 1], 30, 50)
        moved[..., 2] += 0.5 * middle_of_body(self.build, moved[..., 0])
        return moved

    def tube(self, corners: Points, rng: np.random.Generator) -> np.ndarray:
        """A tube [n, 4] (z, y, x, radius in mm) through moved corners, a little different."""
        usual = np.array(corners, float)
        moved = self.point(usual[:, :3])
        moved[1:-1] += rng.normal(0, 1.3, moved[1:-1].shape)
        calibre = rng.normal(1, 0.07) * np.sqrt(self.build.width / 128)
        return polyline(np.column_stack([moved, usual[:, 3] * calibre]))


def add_heart(rng: np.random.Generator, build: Build, organs: Organs, place: Layout) -> None:
    """The heart: four overlapping ellipsoids, two of which are long and lean to the left."""
    size = build.heart * build.width / 128
    agent = build.contrast
    for centre, radii, share in (
        ((-42, -24, 42), (41, 40, 38), 0.75),  # left ventricle
        ((-48, -46, 16), (38, 33, 46), 0.6),  # right ventricle
        ((-28, -18, -26), (34, 33, 29), 0.6),  # right atrium
        ((-8, 20, 4), (21, 20, 33), 0.75),  # left atrium
    ):
        middle = place.point(np.array(centre, float) * [1, 1, build.heart])
        reach = np.array(radii) * size * rng.uniform(0.94, 1.06, 3)
        part = window(middle - reach - NEAR, middle + reach + NEAR)
        organs.add(part, ellipsoid(part, middle, reach), 42 + share * agent)
    organs.distance += np.float32(0.6) * random_field(rng, 12)


def between_lungs(
    rng: np.random.Generator, build: Build, organs: np.ndarray, column: np.ndarray
) -> np.ndarray:
    """Distance to the mediastinum: organs wrapped in fat, the spine, a sheet at the midline."""
    fat = 1.0 + 1.5 * build.mediastinal_fat
    upper = ramp(Z, 0.25 * build.apex, 0.75 * build.apex)
    half = 4 + 3 * build.mediastinal_fat + (14 + 4 * build.mediastinal_fat) * upper
    front = 5 * build.mediastinal_fat * ramp(-Y, 40, 80) * ramp(Z, -30, 20)
    middle = middle_of_body(build, Z) + 5 * ramp(-Z, 20, 80)
    sheet = np.abs(X - middle) - half - front * (1 - upper)
    wrapped = smooth_minimum(organs - fat, sheet, 2.5)
    wrapped = smooth_minimum(wrapped, column - 3.5, 2.0)
    return (wrapped + 1.2 * random_field(rng, 16)).astype(np.float32)


def above_diaphragm(rng: np.random.Generator, build: Build) -> np.ndarray:
    """Height above the two domes, about mm along their normal."""
    x = (X - middle_of_body(build, Z)) / build.width
    y = Y / build.depth
    domes = []
    for top, side in zip(build.domes, (-1, 1), strict=True):
        aside = side * x - 0.5
        fall = 250 * np.clip(aside, 0, None) ** 2 + 45 * np.clip(-aside, 0, None) ** 2
        fall = fall + 70 * np.clip(y + 0.1, 0, None) ** 2 + 45 * np.clip(-y - 0.1, 0, None) ** 2
        domes.append(top - build.height * fall)
    blend = ramp(x, -0.04, 0.16)
    height = domes[0] * (1 - blend) + domes[1] * blend
    height = height + 3.0 * random_field(rng, 33)
    slope = np.sqrt(1 + sum(g * g for g in np.gradient(height, STEP, axis=(1, 2))))
    return ((Z - height) / slope).astype(np.float32)


def add_abdomen(
    rng: np.random.Generator, build: Build, body: Body, organs: Organs, place: Layout
) -> None:
    """Liver, spleen and stomach below the diaphragm, in fat."""
    agent = 0.35 * build.contrast
    everywhere = (slice(None),) * 3
    inner = np.maximum(body.cavity + 3, organs.diaphragm + 3.0)
    uneven = 3.0 * random_field(rng, 22)
    w, d = build.width / 128, build.depth / 92
    edge = 0.75 * (X / w) + 0.55 * (Y / d) + 0.35 * Z - rng.uniform(-40, -15)
    liver = np.maximum(inner, edge)
    liver = np.maximum(liver, 13 - np.hypot((Y - 0.55 * build.depth) / 1.2, X / 1.6) + 14)
    organs.add(everywhere, np.clip(liver + uneven, -NEAR, NEAR), 56 + 0.8 * agent)
    below = build.domes[1]
    for usual, radii, hu in (
        ((below - 42, 42, 78), (46, 38, 28), 48 + agent),
        ((below - 44, -18, 56), (42, 44, 40), 34.0),
    ):
        centre = place.point(np.array(usual, float))
        centre[0] = usual[0]
        reach = np.array(radii) * [build.height, d, w] * rng.uniform(0.85, 1.1, 3)
        part = window(centre - reach - NEAR, centre + reach + NEAR)
        organ = np.maximum(ellipsoid(part, centre, reach) + uneven[part], inner[part] + 2)
        organs.add(part, organ, hu)
    # Gas lies in front: the patient is on the back.
    level = centre[1] - rng.uniform(-0.2, 0.5) * reach[1]
    gas = np.maximum(organ + 3.5, Y[:, part[1]] - level)
    organs.gas[part] = np.clip(gas, -NEAR, NEAR)
