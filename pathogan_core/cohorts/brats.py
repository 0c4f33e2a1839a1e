"""Every public BraTS release as it is downloaded: find its scans and read them."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pathogan_core.cohorts.brats_layouts import (
    LAYOUTS,
    classify,
    grade_of_folder,
    name_scan,
)
from pathogan_core.cohorts.brats_volumes import CHANNEL_ORDER, BratsCase
from pathogan_core.cohorts.cases import UNKNOWN_GRADE, Problem
from pathogan_core.errors import PathoganError
from pathogan_core.files import read_json

SIMULATED, SIMULATING = "simulated.json", "simulating.json"
# Channel names in the Medical Decathlon's dataset.json.
_CHANNELS = {"flair": "flair", "t1w": "t1", "t1gd": "t1c", "t2w": "t2"}


@dataclass(frozen=True)
class Discovery:
    """What a folder holds: scans, what is wrong with the folder, and its recipe if simulated."""

    cases: list[BratsCase]
    problems: list[Problem]
    recipe: Mapping[str, Any] | None


def find_cases(root: str | Path) -> list[BratsCase]:
    """The scans below `root`, ordered by name; files are recognised but not opened.

    Raises:
        PathoganError: if there is no such folder or no scan in it.
    """
    found = discover(root)
    if not found.cases:
        raise found.problems[0].as_error()
    return found.cases


def discover(root: str | Path) -> Discovery:
    """Like `find_cases`, but problems are returned beside the scans instead of raised."""
    root = Path(root)
    if not root.is_dir():
        problem = "is not a folder" if root.exists() else "does not exist"
        return Discovery([], [Problem(str(root), problem, "give the cohort's folder")], None)
    problems: list[Problem] = []
    recipe = read_json(root / SIMULATED) if (root / SIMULATED).is_file() else None
    if recipe is None and (root / SIMULATING).is_file():
        problems.append(
            Problem(str(root), "is a half-simulated cohort", "run the same simulation again")
        )
    survey = _survey(root)
    problems += [
        Problem(str(folder), "holds no file of a known layout", "complete or remove the folder")
        for folder in survey.strays
    ]
    grades = _mapped_grades(survey.mappings)
    cases = [_case(group, root, grades, recipe) for group in survey.groups.values()]
    if not cases:
        layouts = "; ".join(layout.releases for layout in LAYOUTS.values())
        problems = [
            Problem(str(root), "holds no scan", f"point to a folder of one of these: {layouts}")
        ]
    return Discovery(
        sorted(cases, key=lambda case: (case.scan, str(case.folder))), problems, recipe
    )


@dataclass
class _Group:
    """Files of one scan."""

    layout: str
    folder: Path
    name: str
    files: dict[str, Path] = field(default_factory=dict)
    duplicates: list[Path] = field(default_factory=list)


@dataclass
class _Survey:
    groups: dict[tuple[Path, str, str], _Group] = field(default_factory=dict)
    mappings: list[Path] = field(default_factory=list)
    strays: list[Path] = field(default_factory=list)


def _survey(root: Path) -> _Survey:
    """Walk the folder once and group its files by scan."""
    survey = _Survey()
    for directory, subfolders, names in os.walk(root, followlinks=True):
        subfolders.sort()
        folder = Path(directory)
        visible = sorted(name for name in names if not name.startswith("."))
        recognised = [_add(survey, folder / name) for name in visible]
        leaf = not subfolders and folder != root and folder.name not in ("imagesTs", "labelsTr")
        if leaf and not any(recognised):
            survey.strays.append(folder)
    return survey


def _add(survey: _Survey, path: Path) -> bool:
    if path.name.startswith("name_mapping") and path.suffix == ".csv":
        survey.mappings.append(path)
    if not (file := classify(path)):
        return False
    key = file.case_folder, file.layout, file.scan
    group = survey.groups.setdefault(key, _Group(file.layout, file.case_folder, file.scan))
    if file.role in group.files:
        group.duplicates.append(path)
    else:
        group.files[file.role] = path
    return True


def _case(
    group: _Group, root: Path, grades: Mapping[str, str], recipe: Mapping[str, Any] | None
) -> BratsCase:
    grade = grade_of_folder(group.folder, root) or grades.get(group.name, UNKNOWN_GRADE)
    scan, patient = name_scan(group.name, grade)
    return BratsCase(
        scan,
        patient,
        grade,
        group.layout,
        group.folder,
        group.files,
        tuple(group.duplicates),
        _channel_order(group.folder) if group.layout == "decathlon" else CHANNEL_ORDER,
        recipe,
    )


def _mapped_grades(mappings: list[Path]) -> dict[str, str]:
    """Scan to grade, from the `name_mapping.csv` that BraTS 2017 to 2020 come with."""
    grades: dict[str, str] = {}
    for path in mappings:
        try:
            with path.open(newline="", encoding="utf-8-sig") as handle:
                for row in csv.DictReader(handle):
                    grade = (row.get("Grade") or "").strip()
                    names = (v for k, v in row.items() if k and k.endswith("subject_ID") and v)
                    grades.update((name.strip(), grade) for name in names if grade)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise PathoganError(
                f"cannot be read as CSV ({error})", where=path, remedy="download it again"
            ) from error
    return grades


def _channel_order(folder: Path) -> tuple[str, ...]:
    """What the Medical Decathlon's own description says about its channels."""
    path = folder / "dataset.json"
    if not path.is_file():
        return CHANNEL_ORDER
    try:
        named = {int(k): _CHANNELS[str(v).lower()] for k, v in read_json(path)["modality"].items()}
    except (KeyError, ValueError, AttributeError, TypeError) as error:
        raise PathoganError(
            "does not name the channels FLAIR, T1w, t1gd and T2w under `modality`",
            where=path,
            remedy="restore the release's file",
        ) from error
    return tuple(named[i] for i in sorted(named))
