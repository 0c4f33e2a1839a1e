"""Brain metastases before they grow: how many, how large, where, and what they are like.

Large ones are planned before the anatomy is drawn, for they displace tissue; small ones are seeded
in the anatomy they meet. Numbers, sites and sizes are choices that make the variety of a clinic
visible; they reproduce no measured distribution. The thesis' own set is private, and of it section
5.2 gives little more than the numbers of patients, images and boxes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pathogan_core.cohorts.brain_anatomy import Anatomy
from pathogan_core.cohorts.brain_shape import Displacement
from pathogan_core.cohorts.brain_template import CENTRE, BrainTemplate
from pathogan_core.cohorts.brain_tumours import (
    AVERAGE_SIZE,
    MIDDLE,
    every_voxel,
    in_average_patient,
    mass_effect,
)

SINGLE_SHARE = 0.3
"""Share of patients with one metastasis."""

MOST = 16
COUNT_SCALE = 12.0
"""In the others from 2 to `MOST`, with a probability that falls to 1/e over so many."""

GATHERING_MM = 12.0
"""Standard deviation of the height at which a patient's metastases lie, about one of their own.

Chosen so that a slice with any holds about as many as the thesis' images hold boxes (2.1 to 3.3).
"""

DIAMETERS_MM = (2.0, 40.0)
MEDIAN_DIAMETER_MM = 9.0
DIAMETER_SPREAD = (0.32, 0.48)
"""Standard deviations of the logarithm: between patients, and between lesions of one patient."""

SITES = {"junction": 0.75, "cerebellum": 0.15, "deep": 0.10}
"""Grey-white junction of the hemispheres, cerebellum, deep white and grey matter."""

UPTAKES = (0.22, 0.8)
"""Least and most contrast agent in a metastasis, mmol/l: the faintest is a little brighter than
white matter once its rim is blurred."""

DISPLACING_MM = 7.0
"""Radius from which a metastasis displaces tissue."""

GAP_MM = 2.0
"""Least distance between the spheres of two metastases."""

TRIALS = 60
"""Places tried for a metastasis before it is left out for want of room."""


@dataclass(frozen=True)
class Character:
    """What the metastases of one patient share.

    Attributes:
        count: how many are wanted.
        diameter: their median diameter, mm.
        necrotic: probability that a large one has a dead centre.
        rim: median thickness of a ring, mm.
        uptake: median contrast agent, mmol/l.
        oedema: volume of oedema, relative to that of the metastases which have it.
        height: voxel z about which they gather.
        bleeding: whether large ones hold blood products.
    """

    count: int
    diameter: float
    necrotic: float
    rim: float
    uptake: float
    oedema: float
    height: float
    bleeding: bool


@dataclass(frozen=True)
class Metastasis:
    """One planned metastasis.

    Attributes:
        site: a key of `SITES`.
        centre: voxel [z, y, x] in the patient's volume.
        radius: mm.
        rim: thickness of the enhancing ring in mm; None if it is solid.
        uptake: contrast agent, mmol/l.
        oedema: whether oedema surrounds it.
        bleeding: whether it holds blood products.
        shift: largest displacement of surrounding tissue, mm.
        seed: of its own shape and texture.
    """

    site: str
    centre: np.ndarray
    radius: float
    rim: float | None
    uptake: float
    oedema: bool
    bleeding: bool
    shift: float
    seed: int

    def describe(self) -> dict[str, object]:
        return {
            "site": self.site,
            "centre_zyx": [round(float(v)) for v in self.centre],
            "diameter_mm": round(2 * self.radius, 1),
            "rim_mm": None if self.rim is None else round(self.rim, 1),
            "contrast_uptake_mmol_per_l": round(self.uptake, 2),
            "oedema": self.oedema,
            "haemorrhage": self.bleeding,
            "mass_effect_mm": round(self.shift, 1),
        }


def draw_character(rng: np.random.Generator) -> Character:
    """Draw what the metastases of one patient have in common."""
    several = np.arange(2, MOST + 1)
    weight = np.exp(-several / COUNT_SCALE)
    number = int(rng.choice(several, p=weight / weight.sum()))
    single = rng.random() < SINGLE_SHARE
    ring_former = rng.random() < 0.5
    return Character(
        count=1 if single else number,
        diameter=float(MEDIAN_DIAMETER_MM * rng.lognormal(0, DIAMETER_SPREAD[0])),
        necrotic=float(rng.uniform(0.7, 1.0) if ring_former else rng.uniform(0.0, 0.3)),
        rim=float(rng.lognormal(np.log(2.3), 0.25)),
        uptake=float(rng.lognormal(np.log(0.32), 0.32)),
        oedema=float(rng.lognormal(np.log(2.5), 0.8)) if rng.random() < 0.8 else 0.0,
        height=float(np.clip(rng.normal(86, 18), 50, 120)),
        bleeding=bool(rng.random() < 0.1),
    )


def draw_radii(rng: np.random.Generator, character: Character) -> np.ndarray:
    """Radii in mm of a patient's metastases, the largest first."""
    spread = rng.lognormal(0, DIAMETER_SPREAD[1], character.count)
    diameters = np.clip(character.diameter * spread, *DIAMETERS_MM)
    return np.sort(diameters)[::-1] / 2


def draw_metastasis(
    rng: np.random.Generator, character: Character, site: str, centre: np.ndarray, radius: float
) -> Metastasis:
    """Draw one metastasis of a given place and size."""
    large = radius > 3.5
    rim = float(character.rim * rng.lognormal(0, 0.25))
    ring = large and rng.random() < character.necrotic and rim < 0.6 * radius
    # A ring is thin, and partial volume dims it, but what lives in it takes up more.
    uptake = character.uptake * rng.lognormal(0, 0.2) * (1.3 if ring else 1.0)
    swollen = character.oedema > 0 and rng.random() < np.clip((radius - 1.5) / 5, 0, 0.9)
    return Metastasis(
        site=site,
        centre=np.asarray(centre, np.float64),
        radius=float(radius),
        rim=rim if ring else None,
        uptake=float(np.clip(uptake, *UPTAKES)),
        oedema=bool(swollen),
        bleeding=bool(large and character.bleeding),
        shift=float(radius * rng.uniform(0.1, 0.35)) if radius >= DISPLACING_MM else 0.0,
        seed=int(rng.integers(2**31)),
    )


def average_sites(template: BrainTemplate) -> dict[str, np.ndarray]:
    """Voxels [n, 3] of an average patient in which large metastases may be centred, by site."""
    depth = every_voxel(template, template.depth)
    ventricle = every_voxel(template, template.ventricle)
    below = every_voxel(template, template.cerebellar_depth)
    hind = template.cerebellum
    tissue = template.white + template.grey > 0.8
    wanted = {
        "junction": (template.white > 0.5) & (depth > 7) & (depth < 18) & (hind < 0.1),
        "cerebellum": (hind > 0.9) & (below > 7),
        "deep": tissue & (template.mantle < 0.5) & (hind < 0.1) & (depth > 18),
    }
    return {
        site: in_average_patient(np.argwhere(where & (ventricle > 5)))
        for site, where in wanted.items()
    }


def own_sites(anatomy: Anatomy, template: BrainTemplate) -> dict[str, np.ndarray]:
    """Voxels [n, 3] of a patient's volume in which small metastases may be seeded, by site."""
    tissue = anatomy.brain & (anatomy.csf < 0.3) & (anatomy.ventricle > 3)
    hind = as_if_average(template.cerebellum, anatomy)
    below = as_if_average(every_voxel(template, template.cerebellar_depth), anatomy)
    cerebrum = tissue & (hind < 0.1) & (anatomy.depth > 2)
    border = cerebrum & (anatomy.white > 0.15) & (anatomy.white < 0.85)
    wanted = {
        "junction": border & (anatomy.deep < 0.05) & (anatomy.depth < 24),
        "cerebellum": tissue & (hind > 0.9) & (below > 4),
        "deep": cerebrum & (anatomy.depth > 16),
    }
    corner = np.array([s.start for s in anatomy.box])
    return {site: np.argwhere(where) + corner for site, where in wanted.items()}


def as_if_average(values: np.ndarray, anatomy: Anatomy) -> np.ndarray:
    """A template map on the patient's box, as if the patient were of average form."""
    axes = [
        np.rint((np.arange(s.start, s.stop) - middle) / AVERAGE_SIZE + centre).astype(int)
        for s, middle, centre in zip(anatomy.box, MIDDLE, CENTRE, strict=True)
    ]
    inside = [a.clip(0, n - 1) for a, n in zip(axes, values.shape, strict=True)]
    return values[np.ix_(*inside)]


def place(
    rng: np.random.Generator,
    character: Character,
    radii: np.ndarray,
    sites: dict[str, np.ndarray],
    placed: list[Metastasis],
) -> list[Metastasis]:
    """Draw metastases of the given radii at places that keep clear of those already `placed`.

    One that finds no room is left out.
    """
    result = list(placed)
    for radius in radii:
        site = str(rng.choice(list(SITES), p=list(SITES.values())))
        if not len(sites[site]):
            continue
        tried = sites[site][rng.integers(len(sites[site]), size=TRIALS)]
        wish = np.exp(-0.5 * ((tried[:, 0] - character.height) / GATHERING_MM) ** 2) + 1e-9
        for other in result:
            apart = np.linalg.norm(tried - other.centre, axis=1)
            wish[apart < radius + other.radius + GAP_MM] = 0
        if wish.any():
            centre = tried[rng.choice(TRIALS, p=wish / wish.sum())]
            result.append(draw_metastasis(rng, character, site, centre, radius))
    return result


def displacement(metastases: list[Metastasis]) -> Displacement | None:
    """The sum of their mass effects; None if there are none."""
    if not metastases:
        return None

    def push(position: np.ndarray) -> np.ndarray:
        total = np.zeros_like(position)
        for each in metastases:
            total += mass_effect(position, each.centre, each.radius, each.shift)
        return total

    return push
