"""The cost of a scan: simulating it into files, checking these, preparing slices from them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.rows import Row
from benchmarks.usage import Reading, now, peak_memory
from pathogan_core.cohorts.brain_simulation import COHORT, simulate_cohort
from pathogan_core.cohorts.check import check
from pathogan_core.cohorts.manifest import load_manifest
from pathogan_core.cohorts.prepare_folder import prepare_folder
from pathogan_core.cohorts.prepare_parameters import PreparationParameters
from pathogan_core.cohorts.simulated import LAYOUT, prepare_simulated

SEED = 0


@dataclass(frozen=True)
class CohortCase:
    """One operation on a simulated cohort.

    Args:
        operation: a key of `OPERATIONS`.
        workers: processes that work side by side; 1 works in the measuring process itself.
        scans: size of the cohort.
        folder: where the cohort lies, for the cases that follow too.
    """

    operation: str
    workers: int
    scans: int
    folder: Path

    @property
    def name(self) -> str:
        """The operation, as the table calls it."""
        return self.operation

    @property
    def cohort(self) -> Path:
        """The simulated files."""
        return self.folder / "cohort"

    @property
    def prepared(self) -> Path:
        """The slices made from them."""
        return self.folder / "prepared"

    def provide(self) -> None:
        """Lay out what the operation starts from; not to be timed."""
        if self.operation == "simulate":
            shutil.rmtree(self.cohort, ignore_errors=True)
        elif self.operation in READS_FILES:
            simulate(self)  # what lies there already is kept
        shutil.rmtree(self.prepared, ignore_errors=True)

    def measure(self, read: Callable[[], Reading] = now) -> Row:
        """Run the operation, the start of its worker processes included."""
        begun = read()
        OPERATIONS[self.operation](self)
        spent = read() - begun
        return Row(
            measured=self.name,
            on=f"{self.workers} worker{'s' if self.workers > 1 else ''}",
            unit="scan",
            units=self.scans,
            wall_s=spent.wall_s,
            cpu_s=spent.cpu_s,
            peak_memory_bytes=peak_memory(),
        )


def simulate(case: CohortCase) -> None:
    """Simulate patients and write their volumes, compressed, in BRATS' layout."""
    simulate_cohort(case.cohort, case.scans, SEED, LAYOUT, case.workers)


def check_files(case: CohortCase) -> None:
    """Read every file and list its problems; a cohort with problems is no measure."""
    report = check(case.cohort, load_manifest(COHORT), workers=case.workers)
    if report.problems:
        raise report.problems[0].as_error()


def prepare_files(case: CohortCase) -> None:
    """Read volumes from files and write their slices at both sizes."""
    prepare_folder(COHORT, case.cohort, case.prepared, every_grade(), workers=case.workers)


def prepare_directly(case: CohortCase) -> None:
    """Simulate and write slices, with no volumes written in between."""
    prepare_simulated(case.prepared, case.scans, SEED, every_grade(), workers=case.workers)


OPERATIONS: dict[str, Callable[[CohortCase], None]] = {
    "simulate": simulate,
    "check": check_files,
    "prepare": prepare_files,
    "prepare-simulated": prepare_directly,
}
READS_FILES = ("check", "prepare")


def every_grade() -> PreparationParameters:
    """The manifest's parameters, for all scans, so that every operation sees equally many."""
    return replace(load_manifest(COHORT).parameters(), grades=("HGG", "LGG"))
