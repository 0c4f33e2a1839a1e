"""One simulated patient with brain metastases, or a normal subject: a contrast-enhanced T1.

A patient is a function of (seed, index, group) and of nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from pathogan_core.cohorts.brain_anatomy import Anatomy, draw_anatomy
from pathogan_core.cohorts.brain_patient import (
    SCANNERS,
    draw_detail,
    draw_gliosis,
    ideal_image,
    in_volume,
    scan,
    scanner_of,
)
from pathogan_core.cohorts.brain_signal import Scanner
from pathogan_core.cohorts.brain_template import load_template
from pathogan_core.cohorts.brain_tumours import Tumour
from pathogan_core.cohorts.brain_vessels import with_enhancing_vessels
from pathogan_core.cohorts.metastases import (
    DISPLACING_MM,
    Metastasis,
    average_sites,
    displacement,
    draw_character,
    draw_radii,
    own_sites,
    place,
)
from pathogan_core.cohorts.metastases_growth import grow_metastases, no_tumour
from pathogan_core.errors import PathoganError

REVISION: int = 2
"""Bump whenever the voxels of a given (seed, index, group) change."""

Group = Literal["metastases", "normal"]


@dataclass(frozen=True)
class SimulatedMetastases:
    """One simulated patient with metastases, or a normal subject.

    Attributes:
        patient: name, unique in a cohort: `metastases_001`, `normal_001`.
        group: "metastases" or "normal".
        volume: T1c; int16 [155, 240, 240] = [z, y, x] in LPS, 1 mm, skull-stripped, background 0.
        tissues: `necrosis`, `oedema`, `non_enhancing`, `enhancing`; bool, disjoint; all False in
            normal subjects.
        description: what was drawn, JSON-able.
    """

    patient: str
    group: Group
    volume: np.ndarray
    tissues: dict[str, np.ndarray]
    description: dict


@dataclass(frozen=True)
class DrawnSubject:
    """What lies in the scanner: all that is drawn about a subject before the image is made.

    Attributes:
        contrast: dose of contrast agent that reached the brain, relative to the usual one.
        slice_mm: thickness of the acquired axial slices.
    """

    age: float
    scanner: Scanner
    contrast: float
    slice_mm: float
    metastases: list[Metastasis]
    anatomy: Anatomy
    tumour: Tumour


def simulate_metastases(index: int, seed: int, group: Group) -> SimulatedMetastases:
    """Simulate subject `index` (from 0) of a group of the cohort with this seed.

    Raises:
        PathoganError: an unknown group, a negative index or seed.
    """
    if group not in get_args(Group):
        raise PathoganError(
            f"unknown group {group!r}", where="group", remedy="choose metastases or normal"
        )
    for name, value in (("index", index), ("seed", seed)):
        if value < 0:
            raise PathoganError(f"is {value}", where=name, remedy="give 0 or more")
    drawn = draw_subject(index, seed, group)
    image = render(stream(index, seed, group, 4), drawn)
    tissues = {name: in_volume(mask, drawn.anatomy) for name, mask in drawn.tumour.masks.items()}
    return SimulatedMetastases(
        patient=name_subject(index, group),
        group=group,
        volume=in_volume(image, drawn.anatomy),
        tissues=tissues,
        description={
            "scanner": drawn.scanner.describe(),
            "contrast": round(drawn.contrast, 2),
            "slice_mm": round(drawn.slice_mm, 1),
            "anatomy": drawn.anatomy.drawn,
            "metastases": [metastasis.describe() for metastasis in drawn.metastases],
            "voxels": {name: int(mask.sum()) for name, mask in tissues.items()},
        },
    )


def name_subject(index: int, group: Group) -> str:
    """Name of subject `index` (from 0) of a group, unique in a cohort."""
    return f"{group}_{index + 1:03d}"


def stream(index: int, seed: int, group: Group, purpose: int) -> np.random.Generator:
    """Randomness of one purpose for one subject, other than any of the glioma cohort's."""
    return np.random.default_rng([seed, index, purpose, 1 + get_args(Group).index(group)])


def draw_subject(index: int, seed: int, group: Group) -> DrawnSubject:
    """Draw scanner, anatomy and metastases of one subject."""
    template = load_template()
    rng = stream(index, seed, group, 1)
    which = int(rng.integers(SCANNERS))
    # Each site has its own dose and delay; patients differ about that.
    protocol = np.random.default_rng([seed, which, 5]).lognormal(0, 0.2)
    contrast = float(np.clip(protocol * rng.lognormal(0, 0.15), 0.5, 2.0))
    slice_mm = float(rng.uniform(1.2, 2.5)) if rng.random() < 0.3 else 1.0
    age = float(np.clip(rng.normal(60, 12), 19, 85))

    planned: list[Metastasis] = []
    character, radii = draw_character(rng), np.empty(0)
    if group == "metastases":
        radii = draw_radii(rng, character)
        large = radii[radii >= DISPLACING_MM]
        if large.size:
            planned = place(rng, character, large, average_sites(template), [])
    push = displacement(planned)
    anatomy = draw_anatomy(stream(index, seed, group, 3), template, age, push)
    anatomy = with_enhancing_vessels(stream(index, seed, group, 5), anatomy)
    if group == "metastases":
        small = radii[radii < DISPLACING_MM]
        planned = place(rng, character, small, own_sites(anatomy, template), planned)
        tumour = grow_metastases(rng, character.oedema, planned, anatomy)
    else:
        tumour = no_tumour(anatomy.csf.shape)
    return DrawnSubject(age, scanner_of(which, seed), contrast, slice_mm, planned, anatomy, tumour)


def render(rng: np.random.Generator, drawn: DrawnSubject) -> np.ndarray:
    """The subject's T1c, int16 on the anatomy's box, 0 outside the brain."""
    detail = draw_detail(rng, drawn.anatomy)
    gliosis = draw_gliosis(rng, drawn.anatomy, drawn.age)
    ideal = ideal_image("t1c", drawn.anatomy, drawn.tumour, drawn.scanner, gliosis, drawn.contrast)
    return scan(rng, "t1c", ideal * detail, drawn.anatomy, drawn.scanner, drawn.slice_mm)
