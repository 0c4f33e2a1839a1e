"""Everything that is wrong with a cohort on disk, or a summary if nothing is."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pathogan_core.cohorts.brats import discover
from pathogan_core.cohorts.brats_volumes import BratsCase, read_case
from pathogan_core.cohorts.cases import Problem
from pathogan_core.cohorts.parallel import ordered_map
from pathogan_core.cohorts.splits import draw_splits, resolve_splits

if TYPE_CHECKING:
    from pathogan_core.cohorts.manifest import Manifest


@dataclass(frozen=True)
class Report:
    """What `check` found.

    Attributes:
        problems: all of them; empty if the cohort can be used.
        source: `simulated` or `real`.
        cases: number of scans by grade.
        patients: number of people.
        layouts: number of scans by layout.
        spacings: number of scans by spacing (mm, z x y x x).
        expected: number of cases by grade in the release that the thesis used.
    """

    problems: list[Problem]
    source: str
    cases: dict[str, int]
    patients: int
    layouts: dict[str, int]
    spacings: dict[str, int]
    expected: dict[str, int]

    def summary(self) -> dict[str, str]:
        """The report of a cohort without problems, a label and a value for each line."""
        cases = ", ".join(
            f"{count} {grade}" + (f" of {wanted}" if (wanted := self.expected.get(grade)) else "")
            for grade, count in self.cases.items()
        )
        return {
            "source": self.source,
            "scans": f"{cases} ({self.patients} patients)",
            "layout": ", ".join(f"{name} ({count})" for name, count in self.layouts.items()),
            "grid": ", ".join(f"{name} ({count})" for name, count in self.spacings.items()),
            "problems": "none",
        }

    def as_json(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


@dataclass(frozen=True)
class Examined:
    """What one scan adds to the report: problems, spacing and a hash of each sequence's voxels."""

    problems: list[Problem]
    spacing: str | None = None
    voxels: Mapping[str, str] | None = None


def check(
    root: str | Path,
    manifest: Manifest,
    *,
    splits: Iterable[tuple[str, str]] | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Read every file of a cohort and list every problem.

    Args:
        root: the cohort's folder.
        manifest: what the cohort should be.
        splits: (patient or scan, split) pairs that are to be used instead of the drawn split.
        workers: processes that read scans.
        progress: called with (finished, all) scans.
    """
    found = discover(root, manifest.contents)
    cases, problems = found.cases, list(found.problems)
    problems += _name_problems(cases, manifest)
    examined: list[Examined] = []
    if progress and cases:
        progress(0, len(cases))
    for result in ordered_map(examine, cases, workers):
        examined.append(result)
        if progress:
            progress(len(examined), len(cases))
    for case, result in zip(cases, examined, strict=True):
        problems += result.problems
        problems += _grid_problems(case, result, manifest)
    split_of, split_problems = _splits(cases, manifest, splits)
    problems += split_problems
    problems += _duplicate_problems(cases, examined, split_of)
    return Report(
        problems,
        "real" if found.recipe is None else "simulated",
        dict(sorted(Counter(case.grade for case in cases).items())),
        len({case.patient for case in cases}),
        dict(sorted(Counter(case.layout for case in cases).items())),
        dict(sorted(Counter(e.spacing for e in examined if e.spacing).items())),
        {str(grade): n for grade, n in manifest.expected.cases.items()},
    )


def examine(case: BratsCase) -> Examined:
    """Read one scan; its volumes are gone when this returns."""
    loaded, problems = read_case(case)
    if loaded is None:
        return Examined(problems)
    voxels = {
        name: hashlib.sha256(
            f"{volume.shape}".encode() + np.ascontiguousarray(volume, np.float32).tobytes()
        ).hexdigest()
        for name, volume in loaded.volumes.items()
    }
    shape = "x".join(map(str, next(iter(loaded.volumes.values())).shape))
    spacing = "x".join(f"{round(mm, 3):g}" for mm in loaded.spacing)
    return Examined(_copied_sequences(case, voxels), f"{shape} voxels of {spacing} mm", voxels)


def _copied_sequences(case: BratsCase, voxels: Mapping[str, str]) -> list[Problem]:
    by_hash: dict[str, list[str]] = defaultdict(list)
    for name, digest in voxels.items():
        by_hash[digest].append(name)
    return [
        Problem(
            str(case.folder), f"has the same voxels as {' and '.join(names)}", "restore the files"
        )
        for names in by_hash.values()
        if len(names) > 1
    ]


def _name_problems(cases: list[BratsCase], manifest: Manifest) -> list[Problem]:
    problems = []
    folders: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        folders[case.scan].append(str(case.folder))
        if case.layout not in manifest.layouts:
            accepted = ", ".join(manifest.layouts)
            problems.append(
                Problem(str(case.folder), f"has layout {case.layout}", f"use one of {accepted}")
            )
    for scan, places in folders.items():
        if len(places) > 1:
            problems.append(
                Problem(
                    places[1],
                    f"is the scan {scan} again, also in {places[0]}",
                    "remove one of them",
                )
            )
    return problems


def _grid_problems(case: BratsCase, result: Examined, manifest: Manifest) -> list[Problem]:
    volume = manifest.volume
    shape = "x".join(map(str, volume.shape_zyx))
    wanted = f"{shape} voxels of {'x'.join(f'{mm:g}' for mm in volume.spacing_mm)} mm"
    if result.spacing is None or result.spacing == wanted:
        return []
    remedy = "use the release's co-registered volumes"
    return [
        Problem(str(case.folder), f"has {result.spacing} (z, y, x) instead of {wanted}", remedy)
    ]


def _splits(
    cases: list[BratsCase], manifest: Manifest, given: Iterable[tuple[str, str]] | None
) -> tuple[dict[str, str], list[Problem]]:
    """Patient to split, and patients that a given list puts into two."""
    parameters, train_only = manifest.parameters(), manifest.preparation().split.train_only
    grades = parameters.grades
    if given is None:
        drawn = draw_splits(cases, grades, parameters.split, parameters.split_seed, train_only)
        return drawn, []
    return resolve_splits(cases, given, grades, train_only)


def _duplicate_problems(
    cases: list[BratsCase], examined: list[Examined], split_of: Mapping[str, str]
) -> list[Problem]:
    """The same voxels under two names: one patient twice, perhaps on both sides of the split."""
    first: dict[str, BratsCase] = {}
    problems = []
    for case, result in zip(cases, examined, strict=True):
        twins: dict[str, list[str]] = defaultdict(list)
        for sequence, digest in (result.voxels or {}).items():
            twin = first.setdefault(digest, case)
            if twin is not case:
                twins[twin.scan].append(sequence)
        for name, sequences in twins.items():
            other = next(c for c in first.values() if c.scan == name)
            problems.append(_duplicate(case, other, sequences, split_of))
    return problems


def _duplicate(
    case: BratsCase, other: BratsCase, sequences: list[str], split_of: Mapping[str, str]
) -> Problem:
    problem = f"has the same {', '.join(sequences)} voxels as {other.folder}: a duplicate patient"
    mine, theirs = split_of.get(case.patient), split_of.get(other.patient)
    if mine and theirs and mine != theirs:
        problem += f", the same patient in two splits ({theirs} and {mine})"
    return Problem(str(case.folder), problem, "remove one of them")
