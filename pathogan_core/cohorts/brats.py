"""Every public BraTS release as it is downloaded, and plain layouts: find scans and read them."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pathogan_core.cohorts.brats_layouts import (
    GLIOMAS,
    LAYOUTS,
    LESION_MASK,
    MULTICHANNEL,
    SEGMENTATION,
    Contents,
    classify,
    grade_of_folder,
    grade_of_name,
    layout_of,
    name_in_folder,
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


def find_cases(root: str | Path, contents: Contents = GLIOMAS) -> list[BratsCase]:
    """The scans below `root`, ordered by name; files are recognised but not opened.

    Args:
        root: the cohort's folder.
        contents: what it may hold; see `Manifest.contents`.

    Raises:
        PathoganError: if there is no such folder or no scan in it.
    """
    found = discover(root, contents)
    if not found.cases:
        raise found.problems[0].as_error()
    return found.cases


def discover(root: str | Path, contents: Contents = GLIOMAS) -> Discovery:
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
    survey = _survey(root, contents)
    problems += [
        Problem(str(folder), "holds no file of a known layout", "complete or remove the folder")
        for folder in survey.strays
    ]
    grades = _mapped_grades(survey.mappings)
    cases = [_case(group, root, grades, recipe, contents) for group in survey.groups.values()]
    if contents.plain:
        problems += _misplaced(survey.groups.values(), cases, contents)
    if not cases:
        layouts = "; ".join(LAYOUTS[name].releases for name in contents.layouts)
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


def _survey(root: Path, contents: Contents) -> _Survey:
    """Walk the folder once and group its files by scan."""
    survey = _Survey()
    for directory, subfolders, names in os.walk(root, followlinks=True):
        subfolders.sort()
        folder = Path(directory)
        visible = sorted(name for name in names if not name.startswith("."))
        recognised = [_add(survey, folder / name, contents) for name in visible]
        leaf = not subfolders and folder != root and folder.name not in ("imagesTs", "labelsTr")
        if leaf and not any(recognised):
            survey.strays.append(folder)
    return survey


def _add(survey: _Survey, path: Path, contents: Contents) -> bool:
    if path.name.startswith("name_mapping") and path.suffix == ".csv":
        survey.mappings.append(path)
    if not (file := classify(path, contents)):
        return False
    key = file.case_folder, file.layout, file.scan
    group = survey.groups.setdefault(key, _Group(file.layout, file.case_folder, file.scan))
    if file.role in group.files:
        group.duplicates.append(path)
    else:
        group.files[file.role] = path
    return True


def _case(
    group: _Group,
    root: Path,
    grades: Mapping[str, str],
    recipe: Mapping[str, Any] | None,
    contents: Contents,
) -> BratsCase:
    grade = (
        grade_of_folder(group.folder, root, contents.grades)
        or grade_of_name(group.name, contents.grades)
        or grades.get(group.name, UNKNOWN_GRADE)
    )
    if contents.plain:
        scan, patient = name_in_folder(group.name, group.folder.name, grade)
    else:
        scan, patient = name_scan(group.name, grade)
    layout = layout_of(group.files, group.layout, contents)
    files, duplicates = _files_to_read(group, contents)
    return BratsCase(
        scan,
        patient,
        grade,
        layout,
        group.folder,
        files,
        duplicates,
        _channel_order(group.folder) if layout == "decathlon" else CHANNEL_ORDER,
        recipe,
        contents.sequences,
    )


def _files_to_read(group: _Group, contents: Contents) -> tuple[dict[str, Path], tuple[Path, ...]]:
    """The files of the cohort's sequences and the segmentation, and those that are one too many."""
    roles = (*contents.sequences, MULTICHANNEL, SEGMENTATION)
    files = {role: path for role, path in group.files.items() if role in roles}
    duplicates = list(group.duplicates)
    if mask := group.files.get(LESION_MASK):
        if SEGMENTATION in files:
            duplicates.append(files[SEGMENTATION])
        files[SEGMENTATION] = mask
    return files, tuple(duplicates)


def _misplaced(
    groups: Iterable[_Group], cases: Iterable[BratsCase], contents: Contents
) -> list[Problem]:
    """Scans of which their places do not say whose they are, where no release's names do."""
    problems = []
    for group, case in zip(groups, cases, strict=True):
        where = str(group.folder / group.name)
        if case.grade == UNKNOWN_GRADE:
            folders = " or ".join(contents.grades)
            problems.append(
                Problem(where, f"is in no folder {folders}", "move its patient's folder there")
            )
        if group.layout == "2023" and not group.name.startswith(group.folder.name):
            remedy = "call the folder by its patient, and each scan by its patient and a time"
            problems.append(
                Problem(where, "has a name that does not begin with its folder's", remedy)
            )
    return problems


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
