"""Who is trained on and who is held out: always whole patients."""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from pathogan_core.cohorts.cases import Case, Problem
from pathogan_core.errors import PathoganError

SPLITS = ("train", "validation", "test")
# Fractions of section 4's 220 patients: 154, 22, 44, and as the thesis prints them 154, 44, 22. The
# latter cannot be: 22 patients have at most 22 x 101 = 2,222 slices, but its test set has 2,245.
SECTION4_SPLITS: Mapping[str, tuple[float, float, float]] = {
    "possible": (0.7, 0.1, 0.2),
    "printed": (0.7, 0.2, 0.1),
}
SECTION5_TRAIN_ONLY = ("normal",)
"""Grades never held out; 5.2.1: "only for CPGGAN training, not in tumor detection"."""


def assign_splits(
    patients: Iterable[str], fractions: tuple[float, float, float], seed: int
) -> dict[str, str]:
    """Draw a split for each patient.

    Patients are ranked by a hash of (seed, name) and the ranking is cut at the fractions, so that
    the draw depends on neither the order in which patients are found nor a random generator's
    version, and the counts are as near to the fractions as whole patients allow. A split with a
    positive fraction gets at least one patient as soon as there are as many patients as splits.

    Differs: the thesis trains section 3's GANs on all 220 cases. Some are held out here, because
    distances to training images alone cannot tell a good generator from one that memorises.

    Args:
        patients: names; repetitions do not matter.
        fractions: of train, validation, test; non-negative, summing to 1.
        seed: another seed is another draw.

    Returns:
        patient to `train`, `validation` or `test`.
    """
    ranked = sorted(set(patients), key=lambda name: _rank(name, seed))
    counts = _counts(len(ranked), fractions)
    names = [split for split, count in zip(SPLITS, counts, strict=True) for _ in range(count)]
    return dict(zip(ranked, names, strict=True))


def draw_splits(
    cases: Iterable[Case],
    grades: Collection[str],
    fractions: tuple[float, float, float],
    seed: int,
    train_only: Collection[str] = (),
) -> dict[str, str]:
    """Draw a split for the patients of a cohort; see `assign_splits`.

    Args:
        cases: every scan of the cohort.
        grades: whose patients are used.
        fractions, seed: as for `assign_splits`.
        train_only: grades that are for training only, and that the fractions are not of. A patient
            who has a scan of another grade, too, stays where it was drawn.

    Returns:
        patient to `train`, `validation` or `test`.
    """
    used = [case for case in cases if case.grade in grades]
    drawn = [case.patient for case in used if case.grade not in train_only]
    never_held_out = {case.patient: "train" for case in used if case.grade in train_only}
    return never_held_out | assign_splits(drawn, fractions, seed)


def _rank(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()


def _counts(total: int, fractions: tuple[float, float, float]) -> list[int]:
    """Largest-remainder rounding, then one patient for every split that is wanted but empty."""
    exact = [total * fraction for fraction in fractions]
    counts = [int(value + 1e-9) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: counts[i] - exact[i])
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    wanted = [i for i, fraction in enumerate(fractions) if fraction > 0]
    if total >= len(wanted):
        for i in wanted:
            if counts[i] == 0:
                counts[counts.index(max(counts))] -= 1
                counts[i] += 1
    return counts


def read_splits(path: str | Path) -> list[tuple[str, str]]:
    """(patient or scan, split) pairs of a CSV file with the columns `patient` and `split`.

    Raises:
        PathoganError: for a missing file or column, or a split of another name.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle)
            if not {"patient", "split"} <= set(reader.fieldnames or ()):
                raise PathoganError(
                    "has no columns `patient` and `split`",
                    where=path,
                    remedy="add a header line patient,split",
                )
            rows = [(row["patient"], row["split"]) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PathoganError(
            f"cannot be read as CSV ({error})", where=path, remedy="check the path"
        ) from error
    for patient, split in rows:
        if split not in SPLITS:
            raise PathoganError(
                f"patient {patient} has the unknown split {split!r}",
                where=path,
                remedy=f"use one of {', '.join(SPLITS)}",
            )
    return rows


def resolve_splits(
    cases: Sequence[Case],
    given: Iterable[tuple[str, str]],
    grades: Collection[str],
    train_only: Collection[str] = (),
) -> tuple[dict[str, str], list[Problem]]:
    """Apply a list of splits instead of drawing one.

    Args:
        cases: every scan of the cohort.
        given: (patient or scan, split) pairs.
        grades: only patients with a scan of these grades have to be listed.
        train_only: grades that are for training only: patients without a scan of another grade
            need not be listed, and may not be listed otherwise.

    Returns:
        patient to split, and what is wrong with the list: all scans of a patient must be on one
        side.
    """
    person = {case.scan: case.patient for case in cases}
    known = set(person.values())
    used = [case for case in cases if case.grade in grades]
    needed = {case.patient for case in used if case.grade not in train_only}
    never_held_out = {case.patient for case in used} - needed
    claimed: dict[str, set[str]] = defaultdict(set)
    problems = []
    for name, split in given:
        patient = name if name in known else person.get(name)
        if patient is None:
            problems.append(
                Problem(name, "is in the list of splits but not in the cohort", "remove it")
            )
        else:
            claimed[patient].add(split)
    for patient in sorted(needed - set(claimed)):
        problems.append(Problem(patient, "has no split", "add the patient to the list"))
    for patient, names in sorted(claimed.items()):
        if len(names) > 1:
            listed = " and ".join(sorted(names))
            problems.append(
                Problem(patient, f"is one patient in two splits: {listed}", "keep one of them")
            )
        elif patient in never_held_out and names != {"train"}:
            told = f"is for training only, but is listed for {min(names)}"
            problems.append(Problem(patient, told, "list it for train, or not at all"))
    splits = dict.fromkeys(never_held_out, "train")
    return splits | {patient: min(names) for patient, names in claimed.items()}, problems
