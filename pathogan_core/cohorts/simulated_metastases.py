"""Simulated patients with metastases, and normal subjects, as cases; see `simulated`.

`metastases_cohort` writes the same subjects to disk: preparing them from there gives the same
arrays, boxes and fingerprint.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathogan_core.cohorts.cases import LoadedCase, simulated_content_hash
from pathogan_core.cohorts.metastases_patient import (
    REVISION,
    Group,
    name_subject,
    simulate_metastases,
)
from pathogan_core.cohorts.prepare import CohortSource, prepare
from pathogan_core.cohorts.prepare_parameters import PreparationParameters
from pathogan_core.cohorts.prepared import PreparedSlices
from pathogan_core.cohorts.simulation_folder import check_whole_numbers
from pathogan_core.cohorts.splits import SECTION5_TRAIN_ONLY, draw_splits
from pathogan_core.files import sha256_of_file
from pathogan_core.places import manifests_root

COHORT = "brain_metastases"


@dataclass(frozen=True)
class MetastasesCase:
    """Subject `index` of a group of the simulated cohort with this seed; see `cases.Case`."""

    index: int
    seed: int
    group: Group

    @property
    def grade(self) -> str:
        """`metastases` or `normal`."""
        return self.group

    @property
    def scan(self) -> str:
        """Name of the examination: of the simulated person, who has one."""
        return self.patient

    @property
    def patient(self) -> str:
        """Name of the simulated person."""
        return name_subject(self.index, self.group)

    def load(self) -> LoadedCase:
        """Simulate the subject (seconds)."""
        simulated = simulate_metastases(self.index, self.seed, self.group)
        return LoadedCase({"t1c": simulated.volume}, simulated.tissues, (1.0, 1.0, 1.0))

    def content_hash(self) -> str:
        """Of the recipe: the same on every machine."""
        return simulated_content_hash(cohort_recipe(1, 0, self.seed), self.scan)


def cohort_recipe(patients: int, normals: int, seed: int) -> dict[str, Any]:
    """What a cohort's voxels depend on; the content of `simulated.json`."""
    return {
        "cohort": COHORT,
        "source": "simulated",
        "simulator": "metastases",
        "revision": REVISION,
        "patients": patients,
        "normals": normals,
        "seed": seed,
    }


def simulated_subjects(patients: int, normals: int, seed: int) -> list[MetastasesCase]:
    """Light handles for a simulated cohort, patients before normal subjects.

    Raises:
        PathoganError: no patient, or a negative number or seed.
    """
    check_whole_numbers(patients=(patients, 1), normals=(normals, 0), seed=(seed, 0))
    ill = [MetastasesCase(index, seed, "metastases") for index in range(patients)]
    return ill + [MetastasesCase(index, seed, "normal") for index in range(normals)]


def prepare_metastases(
    out: str | Path,
    patients: int,
    normals: int,
    seed: int,
    parameters: PreparationParameters | None = None,
    *,
    train_only: Collection[str] = SECTION5_TRAIN_ONLY,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> PreparedSlices:
    """Prepare a simulated cohort without writing its volumes.

    Args:
        out: folder of the prepared slices.
        patients: with metastases, 180 in the thesis.
        normals: subjects without, 193 in the thesis.
        seed: the cohort's seed.
        parameters: `PreparationParameters.section5()` by default.
        train_only: groups that are never held out; the manifest says the same. The others are
            divided as the parameters say.
        workers, progress: as for `prepare`.

    Raises:
        PathoganError: no patient, or a negative number or seed; else as `prepare`.
    """
    parameters = parameters or PreparationParameters.section5()
    cases = simulated_subjects(patients, normals, seed)
    splits = draw_splits(
        cases, parameters.grades, parameters.split, parameters.split_seed, train_only
    )
    manifest = manifests_root() / f"{COHORT}.yaml"
    source = CohortSource(COHORT, sha256_of_file(manifest), cohort_recipe(patients, normals, seed))
    return prepare(
        cases, out, source, parameters, splits=splits, workers=workers, progress=progress
    )
