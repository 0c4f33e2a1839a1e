"""One simulated patient: brain MRI with a glioma, in four sequences.

A patient is a function of (seed, index) and of nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pathogan_core.cohorts.brain_anatomy import Anatomy, draw_anatomy
from pathogan_core.cohorts.brain_shape import SHAPE
from pathogan_core.cohorts.brain_signal import (
    SEQUENCES,
    TISSUES,
    Scanner,
    acquire,
    coil_shading,
    draw_scanner,
)
from pathogan_core.cohorts.brain_template import RandomField, load_template
from pathogan_core.cohorts.brain_tumours import GliomaPlan, Tumour, grow_glioma, plan_glioma

SIMULATOR_REVISION: int = 2
"""Bump whenever the voxels of a given (seed, index) change."""

SCANNERS = 6
HIGH_GRADE_SHARE = 220 / 274
"""Share of high-grade patients, as in the BRATS 2016 training set (220 HGG, 54 LGG)."""

Grade = Literal["HGG", "LGG"]


@dataclass(frozen=True)
class SimulatedPatient:
    """One simulated patient.

    Attributes:
        patient: name, unique in a cohort.
        grade: "HGG" or "LGG".
        volumes: `t1`, `t1c`, `t2`, `flair`; int16 [155, 240, 240] = [z, y, x] in LPS, 1 mm,
            skull-stripped, background 0.
        tissues: `necrosis`, `oedema`, `non_enhancing`, `enhancing`; bool, disjoint.
        description: what was drawn, JSON-able.
    """

    patient: str
    grade: Grade
    volumes: dict[str, np.ndarray]
    tissues: dict[str, np.ndarray]
    description: dict


@dataclass(frozen=True)
class DrawnPatient:
    """What lies in the scanner: all that is drawn about a patient before images are made."""

    grade: Grade
    age: float
    scanner: Scanner
    plan: GliomaPlan
    anatomy: Anatomy
    glioma: Tumour


def simulate_patient(index: int, seed: int) -> SimulatedPatient:
    """Simulate patient `index` (from 0) of the cohort with this seed."""
    drawn = draw_patient(index, seed)
    volumes = render(np.random.default_rng([seed, index, 4]), drawn)
    tissues = {name: in_volume(mask, drawn.anatomy) for name, mask in drawn.glioma.masks.items()}
    return SimulatedPatient(
        patient=f"simulated_{index + 1:03d}",
        grade=drawn.grade,
        volumes={name: in_volume(volume, drawn.anatomy) for name, volume in volumes.items()},
        tissues=tissues,
        description={
            "scanner": drawn.scanner.describe(),
            "anatomy": drawn.anatomy.drawn,
            "tumour": drawn.plan.describe(),
            "voxels": {name: int(mask.sum()) for name, mask in tissues.items()},
        },
    )


def draw_patient(index: int, seed: int) -> DrawnPatient:
    """Draw scanner, anatomy and glioma of one patient."""
    template = load_template()
    grade = draw_grade(index, seed)
    rng = np.random.default_rng([seed, index, 1])
    scanner = scanner_of(int(rng.integers(SCANNERS)), seed)
    age = float(np.clip(rng.normal(60, 12) if grade == "HGG" else rng.normal(44, 13), 19, 85))
    plan = plan_glioma(rng, template, grade)
    anatomy = draw_anatomy(np.random.default_rng([seed, index, 3]), template, age, plan.push)
    return DrawnPatient(grade, age, scanner, plan, anatomy, grow_glioma(plan, anatomy))


def scanner_of(which: int, seed: int) -> Scanner:
    """Scanner `which` (from 0, below `SCANNERS`) of the cohorts with this seed."""
    return draw_scanner(np.random.default_rng([seed, which, 2]), f"scanner-{which + 1}")


def draw_grade(index: int, seed: int) -> Grade:
    """The grade of one patient, known without simulating it."""
    return "HGG" if np.random.default_rng([seed, index, 0]).random() < HIGH_GRADE_SHARE else "LGG"


def in_volume(box_values: np.ndarray, anatomy: Anatomy) -> np.ndarray:
    """The box's values placed in the full volume."""
    full = np.zeros(SHAPE, box_values.dtype)
    full[anatomy.box] = box_values
    return full


def render(rng: np.random.Generator, drawn: DrawnPatient) -> dict[str, np.ndarray]:
    """All four sequences of one patient, int16 on the anatomy's box, 0 outside the brain."""
    anatomy, scanner = drawn.anatomy, drawn.scanner
    detail = draw_detail(rng, anatomy)
    gliosis = draw_gliosis(rng, anatomy, drawn.age)
    # In some patients T2 and FLAIR were acquired in thick axial slices, as often in BRATS.
    thick = rng.random() < 0.4
    result = {}
    for sequence in SEQUENCES:
        ideal = ideal_image(sequence, anatomy, drawn.glioma, scanner, gliosis) * detail
        slice_mm = float(rng.uniform(2.5, 5.0)) if thick and sequence in ("t2", "flair") else 1.0
        result[sequence] = scan(rng, sequence, ideal, anatomy, scanner, slice_mm)
    return result


def scan(
    rng: np.random.Generator,
    sequence: str,
    ideal: np.ndarray,
    anatomy: Anatomy,
    scanner: Scanner,
    slice_mm: float,
) -> np.ndarray:
    """The scanner's image of an ideal one, int16, at least 1 in the brain and 0 outside it."""
    reference = scanner.signal(sequence, TISSUES[scanner.field]["white"])
    shade = coil_shading(rng, ideal.shape, rng.uniform(0.03, 0.09))
    image = acquire(rng, ideal, scanner, reference, slice_mm, shade)
    image = np.clip(np.rint(image), 1, np.iinfo(np.int16).max)
    return np.where(anatomy.brain, image, 0).astype(np.int16)


def draw_detail(rng: np.random.Generator, anatomy: Anatomy) -> np.ndarray:
    """Multiplicative texture of tissue, mean near 1."""
    size = anatomy.csf.shape
    detail = 1 + 0.012 * RandomField(rng, size, 1.6).everywhere()
    detail += 0.012 * RandomField(rng, size, 6).everywhere()
    return detail


def draw_gliosis(rng: np.random.Generator, anatomy: Anatomy, age: float) -> np.ndarray:
    """Share of age-related white-matter change: caps around ventricles, scattered foci."""
    amount = max(0.0, rng.normal(0.012 * (age - 45), 0.15))
    caps = np.exp(-np.clip(anatomy.ventricle, 0, None) / 2.2)
    foci = np.clip(RandomField(rng, anatomy.csf.shape, 1.6).everywhere() - 3.4, 0, 1)
    return np.clip(0.15 + amount, 0, 0.6) * anatomy.white * np.clip(caps + 2 * foci, 0, 1)


def ideal_image(
    sequence: str,
    anatomy: Anatomy,
    tumour: Tumour,
    scanner: Scanner,
    gliosis: np.ndarray | float = 0.0,
    contrast: float = 1.0,
) -> np.ndarray:
    """Noise-free signal: what each voxel holds, mixed in signal space.

    `contrast` is the dose of contrast agent, which only T1c shows, relative to the usual one;
    0 leaves it out.
    """
    tissue = TISSUES[scanner.field]
    dose = contrast if sequence == "t1c" else 0.0

    def signal(name: str, agent: float = 0.0) -> float:
        return scanner.signal(sequence, tissue[name].enhanced(dose * agent))

    grey = signal("grey") + (signal("deep") - signal("grey")) * anatomy.deep
    image = anatomy.csf * signal("csf") + anatomy.grey * grey + anatomy.white * signal("white")
    image += gliosis * (signal("oedema") - signal("white"))
    for share, name, agent in (
        (anatomy.choroid, "choroid", 0.9),
        (anatomy.dura, "dura", 1.0),
        (anatomy.vein, "blood", 1.3),
        (anatomy.artery, "blood", 1.3),
    ):
        image += share * (signal(name, agent) - image)

    image += 0.8 * tumour.swelling * (signal("oedema") - image)
    viable = signal("tumour") + tumour.texture * 0.5 * (signal("oedema") - signal("tumour"))
    if dose > 0:
        agents = np.linspace(0, 4, 41)
        bright = np.array([signal("tumour", a) for a in agents]) - signal("tumour")
        taken = tumour.uptake > 0
        gain = np.zeros(taken.shape)
        gain[taken] = np.interp(tumour.uptake[taken], agents, bright)
        viable = viable + gain
    inner = viable + tumour.dead * (signal("necrosis") - viable)
    inner += tumour.blood * (signal("haemorrhage") - inner)
    image += tumour.core * (inner - image)
    return image.astype(np.float32)
