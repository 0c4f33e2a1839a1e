"""Whole simulated cohorts of brain metastases, on disk as any real one can be laid out.

    simulate_metastases_cohort(Path("data/metastases"), patients=20, normals=5, seed=1)

The files are those of the layout `brats_layouts.LABELLED`: `<group>/<patient>/<patient>-t1c.nii.gz`
and `-seg.nii.gz`; normal subjects have no segmentation. Interrupted, it goes on where it stopped
(`simulation_folder`), and ends in the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from pathogan_core.cohorts.brain_formats import SEGMENTATION, label_volume, write_volume
from pathogan_core.cohorts.brats_layouts import LABELLED, LAYOUTS, NORMAL
from pathogan_core.cohorts.simulated_metastases import (
    MetastasesCase,
    cohort_recipe,
    simulated_subjects,
)
from pathogan_core.cohorts.simulation_folder import (
    check_whole_numbers,
    claim_folder,
    mark_finished,
    write_subjects,
)

NUMBERS = {tissue: number for number, tissue in LAYOUTS[LABELLED].labels.items()}


def simulate_metastases_cohort(
    out: Path,
    patients: int,
    normals: int,
    seed: int,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Simulate patients with metastases and normal subjects into `out`.

    Args:
        out: folder to fill; made if missing. Subjects that are already there are kept.
        patients: how many have metastases.
        normals: how many subjects have none.
        seed: the cohort's seed; subject i of a group is the same in cohorts of any size.
        workers: processes that simulate side by side.
        progress: called with (subjects present, subjects wanted), first before any work.

    Raises:
        PathoganError: an impossible request, a folder that holds something else or another
            recipe, or a file that cannot be written.
    """
    out = Path(out)
    check_whole_numbers(workers=(workers, 1))
    subjects = simulated_subjects(patients, normals, seed)
    recipe = cohort_recipe(patients, normals, seed)
    claim_folder(out, recipe)
    waiting = [subject for subject in subjects if not is_complete(out, subject)]
    write_subjects(partial(write_subject, out), waiting, len(subjects), workers, progress)
    mark_finished(out, recipe)


def files_of(subject: MetastasesCase) -> dict[str, Path]:
    """A subject's files by what they hold, relative to the cohort's root."""
    endings = {"t1c": "t1c"} if subject.group == NORMAL else {"t1c": "t1c", SEGMENTATION: "seg"}
    folder = Path(subject.group, subject.patient)
    return {key: folder / f"{subject.scan}-{end}.nii.gz" for key, end in endings.items()}


def is_complete(out: Path, subject: MetastasesCase) -> bool:
    """Whether every file of a subject is there (each is written atomically)."""
    return all((out / path).is_file() for path in files_of(subject).values())


def write_subject(out: Path, subject: MetastasesCase) -> None:
    """Simulate one subject and write its files, the segmentation last."""
    loaded, files = subject.load(), files_of(subject)
    write_volume(out / files["t1c"], loaded.volumes["t1c"])
    if SEGMENTATION in files:
        write_volume(out / files[SEGMENTATION], label_volume(loaded.tissues, NUMBERS))
