"""Gliomas: where they sit, how they are shaped, what they push aside, what fills them.

What every kind of tumour shares is here too: the grown `Tumour`, its mass effect, the oedema.

A glioma is planned before the anatomy is drawn (its mass displaces tissue) and grown after it (its
oedema follows white matter). Proportions of sites and compartments are choices that make the
variety of the BRATS cohorts visible; they reproduce no measured distribution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pathogan_core.cohorts.brain_anatomy import Anatomy, sigmoid, smooth_minimum
from pathogan_core.cohorts.brain_template import (
    CENTRE,
    ORIGIN,
    BrainTemplate,
    RandomField,
    interpolate_axes,
)

HEAD = np.array([73.0, 88.0, 69.0], np.float32)
"""Half axes [z, y, x] in mm of an ellipsoid about the head's contents."""

MIDDLE = np.array([75.0, 119.5, 119.5], np.float32)

AVERAGE_SIZE = 0.955
"""Size of an average patient relative to the template."""

SITES = {"frontal": 0.40, "temporal": 0.29, "parietal": 0.22, "occipital": 0.09}


@dataclass(frozen=True)
class GliomaPlan:
    """A glioma before it grows: everything that is drawn about it as a whole.

    Attributes:
        centre: voxel [z, y, x] in the patient's volume.
        radius: mm, of a sphere of about the core's volume.
        shift: largest displacement of surrounding tissue, mm.
        rim: mean thickness of the viable rim in mm; what lies deeper is necrotic.
        uptake: contrast agent in the rim, mmol/l.
    """

    grade: str
    site: str
    side: str
    centre: np.ndarray
    radius: float
    shift: float
    rim: float
    uptake: float
    oedema_ratio: float
    lobes: int
    haemorrhage: bool
    satellites: int
    seed: int

    def push(self, position: np.ndarray) -> np.ndarray:
        """Displacement in mm at positions [3, ...]; fades to nothing at the skull."""
        return mass_effect(position, self.centre, self.radius, self.shift)

    def describe(self) -> dict[str, object]:
        return {
            "grade": self.grade,
            "site": self.site,
            "side": self.side,
            "centre_zyx": [round(float(v)) for v in self.centre],
            "core_radius_mm": round(self.radius, 1),
            "mass_effect_mm": round(self.shift, 1),
            "rim_mm": round(self.rim, 1),
            "contrast_uptake_mmol_per_l": round(self.uptake, 2),
            "lobes": self.lobes,
            "haemorrhage": self.haemorrhage,
            "satellites": self.satellites,
        }


@dataclass(frozen=True)
class Tumour:
    """All grown tumour of a patient on the anatomy's box, float32 in [0, 1] unless said otherwise.

    Attributes:
        core: share of the voxel taken by tumour core (soft edge).
        dead: share of the core that is necrotic fluid.
        swelling: share of oedema outside the core.
        blood: share of the core that holds blood products.
        uptake: contrast agent in mmol/l.
        texture: mixture inside viable tumour, from cellular (0) to watery (1).
        masks: the four named tissues, bool, disjoint.
    """

    core: np.ndarray
    dead: np.ndarray
    swelling: np.ndarray
    blood: np.ndarray
    uptake: np.ndarray
    texture: np.ndarray
    masks: dict[str, np.ndarray]


def mass_effect(
    position: np.ndarray, centre: np.ndarray, radius: float, shift: float
) -> np.ndarray:
    """Displacement in mm at positions [3, z, y, x] by a mass; fades to nothing at the skull.

    Args:
        position: voxels of the patient's volume.
        centre: of the mass, voxel [z, y, x].
        radius: of the mass, mm.
        shift: largest displacement, mm.
    """
    away = position - centre.reshape(3, 1, 1, 1).astype(np.float32)
    distance = np.sqrt((away * away).sum(0))
    reach = np.float32(1.1 * radius + 3)
    size = np.exp(0.5 - 0.5 * (distance / reach) ** 2) * np.float32(shift) / reach
    head = (position - MIDDLE.reshape(3, 1, 1, 1)) / HEAD.reshape(3, 1, 1, 1)
    room = np.clip((1 - np.sqrt((head * head).sum(0))) / 0.25, 0, 1)
    return away * (size * room)


def plan_glioma(rng: np.random.Generator, template: BrainTemplate, grade: str) -> GliomaPlan:
    """Draw a glioma of one grade at a white-matter site."""
    site = str(rng.choice(list(SITES), p=list(SITES.values())))
    point = draw_site(rng, template, site)
    high = grade == "HGG"
    radius = float(np.clip(rng.lognormal(np.log(14.5 if high else 16), 0.36), 6, 28))
    rim = rng.lognormal(np.log(4.2), 0.45) if rng.random() < 0.85 else radius
    faint = rng.random() < 0.25
    return GliomaPlan(
        grade=grade,
        site=site,
        side="left" if point[2] > CENTRE[2] else "right",
        centre=in_average_patient(point),
        radius=radius,
        shift=float(radius * rng.uniform(0.1, 0.42) * (1.0 if high else 0.6)),
        rim=float(np.clip(rim, 2.0, radius)),
        uptake=float(rng.uniform(0.05, 0.12) if faint else rng.uniform(0.16, 0.5)),
        oedema_ratio=float(rng.lognormal(np.log(2.0), 0.6) if high else rng.uniform(0.05, 0.5)),
        lobes=int(rng.integers(1, 5)),
        haemorrhage=bool(high and rng.random() < 0.3),
        satellites=int(rng.integers(1, 4)) if high and rng.random() < 0.25 else 0,
        seed=int(rng.integers(2**31)),
    )


def in_average_patient(point: np.ndarray) -> np.ndarray:
    """Voxel [..., 3] at which a template voxel [..., 3] lies in a patient of average size."""
    return (point - CENTRE) * AVERAGE_SIZE + MIDDLE


def every_voxel(template: BrainTemplate, coarse: np.ndarray) -> np.ndarray:
    """One of the template's 2 mm maps on its 1 mm grid, not interpolated."""
    fine = np.repeat(np.repeat(np.repeat(coarse, 2, 0), 2, 1), 2, 2)
    return fine[tuple(slice(n) for n in template.white.shape)]


def draw_site(rng: np.random.Generator, template: BrainTemplate, site: str) -> np.ndarray:
    """A template voxel in the white matter of a lobe, 8 to 30 mm below the surface."""
    depth = every_voxel(template, template.depth)
    z, y, x = (np.arange(n, dtype=np.float32) for n in template.white.shape)
    up, front, side = z + ORIGIN[0], -(y + ORIGIN[1]), np.abs(x + ORIGIN[2])
    up, front, side = up[:, None, None], front[None, :, None], side[None, None, :]
    lobe = {
        "frontal": (front > 0) & (up > -8),
        "temporal": (up < 2) & (side > 28) & (front < 8) & (front > -55),
        "parietal": (front < -12) & (front > -66) & (up > 16),
        "occipital": (front < -64) & (up < 30),
    }[site]
    wanted = (
        (template.white > 0.6) & (depth > 8) & (depth < 30) & (template.cerebellum < 0.1) & lobe
    )
    places = np.flatnonzero(wanted)
    chosen = int(places[rng.integers(places.size)])
    return np.array(np.unravel_index(chosen, wanted.shape), np.float32)


def grow_glioma(plan: GliomaPlan, anatomy: Anatomy) -> Tumour:
    """Grow the planned glioma in a patient's anatomy."""
    rng = np.random.default_rng([plan.seed, 11])
    size = anatomy.csf.shape
    level = core_level(rng, plan, anatomy)
    core = sigmoid(-level / 0.6) * anatomy.brain
    inside = level < 0

    coarse = RandomField(rng, size, 5.0).everywhere()
    fine = RandomField(rng, size, 1.8).everywhere()
    texture = np.clip(0.4 + 0.22 * coarse + 0.16 * fine, 0, 1)
    if plan.grade == "HGG":
        rim = plan.rim * np.clip(1 + 0.45 * coarse + 0.18 * fine, 0.35, 3)
        dead = sigmoid((-level - rim) / 0.7)
        gaps = RandomField(rng, size, 6.0).everywhere()
        viable = sigmoid((gaps + 0.9) / 0.2) * (1 - dead)
    else:
        cyst = 1.0 if rng.random() < 0.15 else 0.0
        dead = cyst * sigmoid((-level - 0.55 * plan.radius - 2 * coarse) / 0.8)
        patch = 1.0 if rng.random() < 0.3 else 0.0
        viable = patch * sigmoid((coarse - 1.3) / 0.2) * (1 - dead)
    uneven = np.clip(1 + 0.35 * fine + 0.3 * coarse, 0.2, 2.2)
    uptake = plan.uptake * uneven * viable * core

    swelling = grow_oedema(rng, plan.oedema_ratio, anatomy, inside) * (1 - core)
    blood = np.zeros(size, np.float32)
    if plan.haemorrhage:
        blood = sigmoid((RandomField(rng, size, 3.5).everywhere() - 1.4) / 0.3) * core

    necrosis = inside & (dead > 0.5)
    enhancing = inside & ~necrosis & (viable > 0.5)
    masks = {
        "necrosis": necrosis & anatomy.brain,
        "oedema": ~inside & (swelling > 0.42) & anatomy.brain,
        "non_enhancing": inside & ~necrosis & ~enhancing & anatomy.brain,
        "enhancing": enhancing & anatomy.brain,
    }
    return Tumour(core, dead, swelling, blood, uptake, texture, masks)


def core_level(rng: np.random.Generator, plan: GliomaPlan, anatomy: Anatomy) -> np.ndarray:
    """Distance-like level of the tumour core in mm, negative inside."""
    axes = [
        np.arange(s.start, s.stop, dtype=np.float32) - c
        for s, c in zip(anatomy.box, plan.centre, strict=True)
    ]
    level = np.full(anatomy.csf.shape, 99.0, np.float32)
    for lobe in range(plan.lobes):
        away = rng.normal(0, 0.42 * plan.radius, 3) * (lobe > 0)
        stretch = rng.uniform(0.72, 1.25, 3)
        radius = plan.radius * (1.0 if lobe == 0 else rng.uniform(0.4, 0.75))
        radius *= 0.92 if plan.lobes > 1 else 1.0
        distance = ellipsoid_level(axes, away, stretch, radius)
        level = smooth_minimum(level, distance, 1.0)
    size = anatomy.csf.shape
    bumps = 0.17 * plan.radius * RandomField(rng, size, 7.0).everywhere()
    bumps += 0.06 * plan.radius * RandomField(rng, size, 2.6).everywhere()
    level += np.clip(bumps, -0.4 * plan.radius, 0.4 * plan.radius)
    for _ in range(plan.satellites):
        away = rng.normal(0, 1, 3)
        away *= (1.25 * plan.radius + rng.uniform(2, 10)) / np.linalg.norm(away)
        spot = ellipsoid_level(axes, away, rng.uniform(0.7, 1.3, 3), rng.uniform(1.8, 4.5))
        level = np.minimum(level, spot)
    fluid = fluid_border(anatomy)
    # Only the corpus callosum leads to the other hemisphere; the falx closes the way above it.
    across = anatomy.lateral if plan.side == "right" else -anatomy.lateral
    fluid += np.clip(across, 0, 8) * 3 * (anatomy.depth < 9)
    return level + fluid + np.clip(1.0 - anatomy.depth, 0, None) * 2


def fluid_border(anatomy: Anatomy) -> np.ndarray:
    """What fluid spaces add to a tumour's level, mm: it fills sulci only where it encloses them."""
    border = np.clip(anatomy.csf - 0.3, 0, None) * 7
    border += np.clip(2.0 - anatomy.ventricle, 0, 6) * 1.5
    return border


def ellipsoid_level(
    axes: list[np.ndarray], away: np.ndarray, stretch: np.ndarray, radius: float
) -> np.ndarray:
    """About the signed distance in mm to an ellipsoid about `away`."""
    z, y, x = ((a - c) / s for a, c, s in zip(axes, away, stretch, strict=True))
    square = z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2
    return (np.sqrt(square) - radius).astype(np.float32)


def grow_oedema(
    rng: np.random.Generator, ratio: float, anatomy: Anatomy, inside: np.ndarray
) -> np.ndarray:
    """Vasogenic oedema: fluid that seeps from the core along white matter, float32 in [0, 1].

    On a 2 mm grid the fluid spreads step by step, easily in white matter, hardly in grey matter,
    never in CSF; the amount spread is cut where `ratio` times the core's volume is reached.
    """
    if not inside.any():
        return np.zeros(inside.shape, np.float32)
    every = (slice(None, None, 2),) * 3
    white, grey = (ndimage.uniform_filter(v, 2)[every] for v in (anatomy.white, anatomy.grey))
    passing = np.clip(white + 0.12 * grey - 0.6 * anatomy.deep[every], 0, 1)
    passing *= np.clip(0.86 + 0.12 * RandomField(rng, white.shape, 2.5).everywhere(), 0.3, 1)
    source = inside[every]
    fluid = source.astype(np.float32)
    for _ in range(22):
        fluid = ndimage.gaussian_filter(fluid, 1.0, truncate=2.0) * passing
        fluid[source] = 1
    wanted = ratio * max(int(source.sum()), 40)
    candidates = np.sort(fluid[~source])[::-1]
    cut = max(float(candidates[min(int(wanted), candidates.size - 1)]), 0.004)
    amount = np.log(np.maximum(fluid, 1e-6) / cut)
    axes = [np.arange(n, dtype=np.float32) / 2 for n in inside.shape]
    fine = interpolate_axes(amount.astype(np.float32), axes)
    share = sigmoid(fine / 0.45 + 0.25 * RandomField(rng, inside.shape, 2.2).everywhere())
    return share * np.clip(anatomy.white + 0.35 * anatomy.grey, 0, 1)
