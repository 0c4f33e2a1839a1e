"""Simulated patients as cases: a cohort is prepared where it is used, with no files in between.

Needs numpy, scipy and the committed template only, so that it also works on a bare GPU server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pathogan_core.cohorts.brain_formats import Layout, case_paths
from pathogan_core.cohorts.brain_simulation import (
    COHORT,
    cohort_recipe,
    draw_grade,
    simulate_patient,
)
from pathogan_core.cohorts.brats_layouts import name_scan
from pathogan_core.cohorts.cases import LoadedCase, simulated_content_hash
from pathogan_core.cohorts.prepare import CohortSource, prepare
from pathogan_core.cohorts.prepare_parameters import PreparationParameters
from pathogan_core.cohorts.prepared import PreparedSlices
from pathogan_core.errors import PathoganError
from pathogan_core.files import sha256_of_file
from pathogan_core.places import manifests_root

LAYOUT: Layout = "2016"  # the release that keeps all four tissues apart


@dataclass(frozen=True)
class SimulatedCase:
    """Patient `index` of the simulated cohort with this seed; see `cases.Case`.

    Names are those that the same cohort has when it is written in the 2016 layout, so that
    preparing it from disk and preparing it directly give the same arrays and fingerprint.
    """

    index: int
    seed: int

    @property
    def grade(self) -> str:
        """`HGG` or `LGG`, known without simulating."""
        return draw_grade(self.index, self.seed)

    @property
    def scan(self) -> str:
        """Name of the examination."""
        return self._names()[0]

    @property
    def patient(self) -> str:
        """Name of the simulated person."""
        return self._names()[1]

    def load(self) -> LoadedCase:
        """Simulate the patient (seconds)."""
        simulated = simulate_patient(self.index, self.seed)
        return LoadedCase(simulated.volumes, simulated.tissues, (1.0, 1.0, 1.0))

    def content_hash(self) -> str:
        """Of the recipe: the same on every machine."""
        return simulated_content_hash(cohort_recipe(self.index + 1, self.seed, LAYOUT), self.scan)

    def _names(self) -> tuple[str, str]:
        return name_scan(case_paths(LAYOUT, self.index, self.grade).name, self.grade)


def simulated_cases(
    patients: int, seed: int, grades: tuple[str, ...] | None = None
) -> list[SimulatedCase]:
    """Light handles for a simulated cohort.

    Args:
        patients: how many, before any selection if `grades` is None, else after it: the cohort is
            then the shortest one that holds so many patients of these grades.
        seed: the cohort's seed.
        grades: wanted grades, None for all.

    Raises:
        PathoganError: fewer than one patient, a negative seed, or grades that are not simulated.
    """
    if patients < 1:
        raise PathoganError(f"is {patients}", where="patients", remedy="simulate at least 1")
    if seed < 0:
        raise PathoganError(f"is {seed}", where="seed", remedy="give 0 or more")
    if grades is not None and not {"HGG", "LGG"} & set(grades):
        raise PathoganError(
            f"are {', '.join(grades)}", where="grades", remedy="choose HGG, LGG or both"
        )
    cases: list[SimulatedCase] = []
    index = 0
    while len(cases) < patients:
        case = SimulatedCase(index, seed)
        if grades is None or case.grade in grades:
            cases.append(case)
        index += 1
    return cases


def prepare_simulated(
    out: str | Path,
    patients: int,
    seed: int,
    parameters: PreparationParameters | None = None,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> PreparedSlices:
    """Prepare a simulated cohort without writing its volumes.

    Args:
        out: folder of the prepared slices.
        patients: patients of the wanted grades (`parameters.grades`) to prepare.
        seed: the cohort's seed.
        parameters: as for `prepare`.
        workers: processes that simulate side by side.
        progress: as for `prepare`.
    """
    parameters = parameters or PreparationParameters()
    cases = simulated_cases(patients, seed, parameters.grades)
    recipe = cohort_recipe(cases[-1].index + 1, seed, LAYOUT)
    source = CohortSource(COHORT, sha256_of_file(manifests_root() / f"{COHORT}.yaml"), recipe)
    return prepare(cases, out, source, parameters, workers=workers, progress=progress)
