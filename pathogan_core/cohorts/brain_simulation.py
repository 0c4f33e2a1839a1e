"""Whole simulated cohorts of brain MRI with gliomas, on disk in the real BRATS formats.

    simulate_cohort(Path("data/brats2016"), patients=50, seed=1, layout="2016")

A cohort may be interrupted at any moment and continued by the same call; the result is the same,
byte for byte. While it is being made, `simulating.json` names its recipe; when every patient is
there, `simulated.json` takes its place.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from pathogan_core.cohorts.brain_formats import (
    LABELS,
    SEGMENTATION,
    Layout,
    case_paths,
    label_volume,
    write_volume,
)
from pathogan_core.cohorts.brain_patient import (
    SIMULATOR_REVISION,
    SimulatedPatient,
    draw_grade,
    simulate_patient,
)
from pathogan_core.cohorts.simulation_folder import (
    check_whole_numbers,
    claim_folder,
    mark_finished,
    write_subjects,
)
from pathogan_core.errors import PathoganError
from pathogan_core.files import atomic_write

__all__ = [
    "SIMULATOR_REVISION",
    "SimulatedPatient",
    "draw_grade",
    "simulate_cohort",
    "simulate_patient",
]

COHORT = "brats2016"


def simulate_cohort(
    out: Path,
    patients: int,
    seed: int,
    layout: Layout,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Simulate a cohort into `out`, in the layout of a BRATS release.

    Args:
        out: folder to fill; made if missing. Patients that are already there are kept.
        patients: how many patients.
        seed: the cohort's seed; patient i is the same in cohorts of any size.
        layout: "2016", "2020" or "2023".
        workers: processes that simulate side by side (about 1 GB of memory each).
        progress: called with (patients present, patients wanted), first before any work.

    Raises:
        PathoganError: an impossible request, a folder that holds something else or another
            recipe, or a file that cannot be written.
    """
    out = Path(out)
    check_request(patients, seed, layout, workers)
    recipe = cohort_recipe(patients, seed, layout)
    claim_folder(out, recipe)
    waiting = [i for i in range(patients) if not is_complete(out, i, seed, layout)]
    write_subjects(partial(write_patient, out, seed, layout), waiting, patients, workers, progress)
    if layout == "2020":
        write_name_mapping(out, patients, seed)
    mark_finished(out, recipe)


def cohort_recipe(patients: int, seed: int, layout: Layout) -> dict[str, Any]:
    """What a cohort's voxels depend on; the content of `simulated.json`."""
    return {
        "cohort": COHORT,
        "source": "simulated",
        "simulator": "brain",
        "revision": SIMULATOR_REVISION,
        "patients": patients,
        "seed": seed,
        "layout": layout,
    }


def check_request(patients: int, seed: int, layout: str, workers: int) -> None:
    """Refuse numbers and layouts that make no cohort."""
    if layout not in LABELS:
        raise PathoganError(
            f"unknown layout {layout!r}",
            where="layout",
            remedy=f"choose one of {', '.join(LABELS)}",
        )
    check_whole_numbers(patients=(patients, 1), seed=(seed, 0), workers=(workers, 1))


def is_complete(out: Path, index: int, seed: int, layout: Layout) -> bool:
    """Whether every file of a patient is there (each is written atomically)."""
    files = case_paths(layout, index, draw_grade(index, seed)).files
    return all((out / path).is_file() for path in files.values())


def write_patient(out: Path, seed: int, layout: Layout, index: int) -> None:
    """Simulate one patient and write its five files, the segmentation last."""
    patient = simulate_patient(index, seed)
    files = case_paths(layout, index, patient.grade).files
    for sequence, volume in patient.volumes.items():
        write_volume(out / files[sequence], volume)
    write_volume(out / files[SEGMENTATION], label_volume(patient.tissues, LABELS[layout]))


def write_name_mapping(out: Path, patients: int, seed: int) -> None:
    """`name_mapping.csv`, which carries the grades in the 2020 release."""
    with atomic_write(out / "name_mapping.csv", "w") as handle:
        handle.write("Grade,BraTS_2020_subject_ID\n")
        for index in range(patients):
            grade = draw_grade(index, seed)
            handle.write(f"{grade},{case_paths('2020', index, grade).name}\n")
