"""Read one scan of a BraTS layout, or say everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pathogan_core.cohorts.brats_layouts import (
    LAYOUTS,
    MULTICHANNEL,
    NORMAL,
    SEGMENTATION,
    Layout,
)
from pathogan_core.cohorts.cases import SEQUENCES, LoadedCase, Problem, simulated_content_hash
from pathogan_core.cohorts.image_files import Grid, channel, grid_of, non_finite, read_image, to_lps
from pathogan_core.errors import PathoganError
from pathogan_core.files import sha256_of_file, sha256_of_value

if TYPE_CHECKING:
    import SimpleITK as sitk

CHANNEL_ORDER = ("flair", "t1", "t1c", "t2")  # of the Medical Decathlon's 4D files


@dataclass(frozen=True)
class BratsCase:
    """One scan on disk; see `cases.Case`.

    Attributes:
        files: `sequences` (or `image`, 4D) and `segmentation` to their paths; that of a normal
            subject may be missing.
        duplicates: further files that claim a role already taken.
        channels: order of the sequences in a 4D file.
        recipe: content of the cohort's `simulated.json`; None if real.
        sequences: those of `cases.SEQUENCES` that are read.
    """

    scan: str
    patient: str
    grade: str
    layout: str
    folder: Path
    files: Mapping[str, Path]
    duplicates: tuple[Path, ...] = ()
    channels: tuple[str, ...] = CHANNEL_ORDER
    recipe: Mapping[str, Any] | None = None
    sequences: tuple[str, ...] = SEQUENCES

    def load(self) -> LoadedCase:
        """Read the scan; the first of its problems, if any, is raised as a `PathoganError`."""
        loaded, problems = read_case(self)
        if loaded is None:
            raise problems[0].as_error()
        return loaded

    def content_hash(self) -> str:
        """Of the files' bytes (real) or of the recipe (simulated)."""
        if self.recipe is not None:
            return simulated_content_hash(self.recipe, self.scan)
        try:
            return sha256_of_value({k: sha256_of_file(p) for k, p in sorted(self.files.items())})
        except OSError as error:
            raise PathoganError(
                f"cannot be read ({error.strerror})", where=error.filename, remedy="check the path"
            ) from error


def read_case(case: BratsCase) -> tuple[LoadedCase | None, list[Problem]]:
    """Read a scan and everything that is wrong with it; no volumes if anything is."""
    problems = [
        Problem(str(path), "is a second file for the same sequence", "remove one of them")
        for path in case.duplicates
    ]
    images, unreadable = _read_images(case)
    problems += unreadable
    problems += _grid_problems(case, images)
    oriented = {role: to_lps(image) for role, image in images.items()}
    arrays = {role: array for role, (array, _) in oriented.items()}
    for sequence in case.sequences:
        if sequence in arrays:
            problems += _voxel_problems(_path(case, sequence), arrays[sequence], sequence)
    layout = LAYOUTS[case.layout]
    if SEGMENTATION in arrays:
        problems += _label_problems(case, arrays[SEGMENTATION], layout)
    if problems:
        return None, problems
    first = case.sequences[0]
    labels = arrays.pop(SEGMENTATION, None)
    tissues = layout.tissues(np.zeros_like(arrays[first]) if labels is None else labels)
    return LoadedCase(arrays, tissues, oriented[first][1]), []


def _path(case: BratsCase, role: str) -> Path:
    return case.files.get(role) or case.files[MULTICHANNEL]


def _read_images(case: BratsCase) -> tuple[dict[str, sitk.Image], list[Problem]]:
    images: dict[str, sitk.Image] = {}
    problems: list[Problem] = []
    multichannel = case.layout == "decathlon"
    for role in (MULTICHANNEL, SEGMENTATION) if multichannel else (*case.sequences, SEGMENTATION):
        if role not in case.files:
            if role == SEGMENTATION and case.grade == NORMAL:
                continue
            shared = multichannel or not case.scan.endswith(case.folder.name)
            where = f"{case.folder} ({case.scan})" if shared else str(case.folder)
            problems.append(Problem(where, f"has no {role} file", "add the missing file"))
            continue
        try:
            if role == MULTICHANNEL:
                image = read_image(case.files[role], channels=len(SEQUENCES))
                images |= {name: channel(image, i) for i, name in enumerate(case.channels)}
            else:
                images[role] = read_image(case.files[role])
        except PathoganError as error:
            problems.append(Problem(str(error.where), error.problem, error.remedy or ""))
    return images, problems


def _grid_problems(case: BratsCase, images: Mapping[str, sitk.Image]) -> list[Problem]:
    """Sequences must lie on one grid: they are used voxel by voxel."""
    grids: dict[str, Grid] = {role: grid_of(image) for role, image in images.items()}
    if len(grids) < 2:
        return []
    reference, *others = grids
    remedy = "resample it to the other sequences' grid or restore the release's file"
    return [
        Problem(str(_path(case, role)), f"has {difference} as in {reference}", remedy)
        for role in others
        if (difference := grids[role].difference(grids[reference]))
    ]


def _voxel_problems(path: Path, volume: np.ndarray, sequence: str) -> list[Problem]:
    bad = int(volume.size - np.isfinite(volume).sum())
    if bad:
        error = non_finite(path, bad)
        return [Problem(str(path), error.problem, error.remedy or "")]
    brain = volume[volume != 0]
    if brain.size == 0 or brain.min() == brain.max():
        value = brain[0] if brain.size else 0
        return [
            Problem(str(path), f"is constant: every {sequence} voxel is 0 or {value}", "restore it")
        ]
    return []


def _label_problems(case: BratsCase, labels: np.ndarray, layout: Layout) -> list[Problem]:
    unknown = layout.unknown_labels(labels)
    if not unknown:
        marked = np.count_nonzero(labels) if case.grade == NORMAL else 0
        problem = f"marks {marked} voxels of a normal subject"
        remedy = "remove the file, or move the scan to the patients"
        return [Problem(str(case.files[SEGMENTATION]), problem, remedy)] if marked else []
    known = ", ".join(f"{number} {tissue}" for number, tissue in layout.labels.items())
    values = ", ".join(f"{value:g}" for value in unknown[:5]) + (", ..." if unknown[5:] else "")
    return [
        Problem(
            str(case.files[SEGMENTATION]),
            f"has the label values {values}, which {layout.releases} does not have",
            f"use that release's segmentation (0 background, {known})",
        )
    ]
