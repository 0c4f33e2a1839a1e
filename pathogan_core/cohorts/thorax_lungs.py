"""The lungs of a simulated thorax: their boundary, lobes and fissures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from pathogan_core.cohorts.brain_anatomy import smooth_minimum
from pathogan_core.cohorts.thorax_body import Body, Build, middle_of_body
from pathogan_core.cohorts.thorax_grid import STEP, X, Y, Z, bump, random_field
from pathogan_core.cohorts.thorax_organs import Organs

LOBES = ("right upper", "right middle", "right lower", "left upper", "left lower")

OBLIQUE_SLOPE = 0.9
"""How steeply the oblique fissures rise towards the back."""


@dataclass(frozen=True)
class Lungs:
    """Distances in mm on the grid.

    Attributes:
        distance: to the lungs' surface, negative inside; exact only near it.
        oblique, horizontal: to the two kinds of fissures, signed, positive above; the horizontal
            one exists on the right only and ends at the oblique one.
        lobe: int8, number in `LOBES`, -1 outside the lungs.
        density: HU that a place's own aeration adds.
    """

    distance: np.ndarray
    oblique: np.ndarray
    horizontal: np.ndarray
    lobe: np.ndarray
    density: np.ndarray

    @cached_property
    def depth(self) -> np.ndarray:
        """Depth below the lungs' surface in mm wherever it is, negative outside."""
        inside = self.distance < 0
        # Nodes just outside lie half a step beyond the surface on average.
        far = ndimage.distance_transform_edt(inside, sampling=STEP) - STEP / 2
        share = np.clip((far - 2) / 3, 0, 1)
        return (-self.distance * (1 - share) + far * share).astype(np.float32)


def make_lungs(rng: np.random.Generator, build: Build, body: Body, organs: Organs) -> Lungs:
    """The lungs of one body: the cavity without mediastinum and what lies below the diaphragm."""
    space = smooth_minimum(-body.cavity, organs.mediastinum, 1.5)
    distance = -smooth_minimum(space, organs.diaphragm, 0.8)
    left = middle_of_body(build, Z) + 3 < X
    waves = 3.5 * random_field(rng, 36)
    right_z, left_z = (
        build.height * (float(top) - 80 * OBLIQUE_SLOPE) for top in rng.normal(52, 7, 2)
    )
    slope = OBLIQUE_SLOPE * build.height * 92 / build.depth
    bowl = 14 * bump(Y, 15, 60) - 10 * (np.abs(X) / build.width) ** 2
    sheet = np.where(left, left_z, right_z) + slope * Y + bowl + waves
    oblique = (Z - sheet) / np.sqrt(1 + slope**2)
    horizontal = Z - build.height * rng.normal(-4, 8) - 0.08 * X + 1.5 * waves
    horizontal = np.where(left, 1e3, np.where(oblique > -2, horizontal, 1e3))
    lobe = np.where(oblique < 0, 2, np.where(horizontal < 0, 1, 0))
    lobe = np.where(left, np.where(oblique < 0, 4, 3), lobe)
    return Lungs(
        distance=distance.astype(np.float32),
        oblique=np.clip(oblique, -12, 12).astype(np.float32),
        horizontal=np.clip(horizontal, -12, 12).astype(np.float32),
        lobe=np.where(distance < 0, lobe, -1).astype(np.int8),
        density=rng.uniform(5, 12) * random_field(rng, 13),
    )
