"""Turn a cohort into prepared slices (thesis 3.2 and 4.2), streaming, atomic and resumable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from pathogan_core import __version__
from pathogan_core.cohorts.cases import Case
from pathogan_core.cohorts.parallel import ordered_map
from pathogan_core.cohorts.prepare_parameters import REVISION, PreparationParameters
from pathogan_core.cohorts.prepare_scan import prepare_scan
from pathogan_core.cohorts.prepare_store import (
    ArrayWriter,
    append_journal,
    begin_or_resume,
    discard,
    forget_progress,
    locked,
    read_journal,
    refuse_differences,
)
from pathogan_core.cohorts.prepared import (
    INFO,
    TABLE,
    PreparedSlices,
    array_files,
    content_sha256,
)
from pathogan_core.cohorts.prepared_lesions import write_boxes
from pathogan_core.cohorts.splits import assign_splits
from pathogan_core.errors import PathoganError
from pathogan_core.files import atomic_write, sha256_of_value, write_json


@dataclass(frozen=True)
class CohortSource:
    """Where the cases come from, for `prepared.json`.

    Attributes:
        cohort: the manifest's name.
        manifest_sha256: hash of the manifest's file.
        recipe: content of `simulated.json`; None for a real cohort.
    """

    cohort: str
    manifest_sha256: str
    recipe: Mapping[str, Any] | None = None

    @property
    def source(self) -> str:
        """`simulated` or `real`."""
        return "real" if self.recipe is None else "simulated"


def prepare(
    cases: Iterable[Case],
    out: str | Path,
    source: CohortSource,
    parameters: PreparationParameters | None = None,
    *,
    splits: Mapping[str, str] | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> PreparedSlices:
    """Write the prepared slices of a cohort, or find them written already.

    One scan per worker is in memory at a time, whatever the size of the cohort. Killed at any
    moment and called again, it goes on after the last finished scan and ends in the same bytes.

    Args:
        cases: light handles in any order; rows are ordered by scan name.
        out: the folder to write; it may exist only empty, unfinished with the same parameters, or
            finished with the same parameters and content (then nothing is done).
        source: the cohort's name and provenance.
        parameters: those of thesis section 3 by default.
        splits: patient to split; drawn by `assign_splits` if None.
        workers: processes that read (or simulate) scans.
        progress: called with (finished, all) scans, first for what an earlier call had finished.

    Raises:
        PathoganError: for bad cases, an unwritable or foreign folder, other parameters than held.
    """
    parameters = parameters or PreparationParameters()
    out = Path(out)
    selected = _select(cases, parameters, source.cohort)
    plan = _plan(selected, splits, source, parameters)
    with locked(out):
        if (out / INFO).is_file():
            return _reuse(out, selected, plan, progress)
        begin_or_resume(out, plan)
        files = array_files(out, parameters.sizes, parameters.arrays)
        try:
            _write_scans(selected, out, files, parameters, workers, progress)
            _finish(out, files, plan, source)
        except (PathoganError, OSError, KeyboardInterrupt):
            if not read_journal(out):
                discard(out, list(files))
            raise
    return PreparedSlices.open(out)


def _select(cases: Iterable[Case], parameters: PreparationParameters, cohort: str) -> list[Case]:
    """The wanted grades, ordered by scan name."""
    found = sorted(cases, key=lambda case: case.scan)
    for first, second in pairwise(found):
        if first.scan == second.scan:
            raise PathoganError(
                "two scans have this name", where=first.scan, remedy="rename or remove one of them"
            )
    selected = [case for case in found if case.grade in parameters.grades]
    if not selected:
        grades = ", ".join(sorted({case.grade for case in found})) or "none: it is empty"
        raise PathoganError(
            f"has no case of grade {' or '.join(parameters.grades)} (grades found: {grades})",
            where=f"cohort {cohort}",
            remedy="choose other grades or check the cohort's folder",
        )
    return selected


def _plan(
    selected: Sequence[Case],
    splits: Mapping[str, str] | None,
    source: CohortSource,
    parameters: PreparationParameters,
) -> dict[str, Any]:
    """Everything that decides the result but the voxels themselves."""
    split_by = "hash of seed and patient" if splits is None else "list"
    if splits is None:
        patients = [case.patient for case in selected]
        splits = assign_splits(patients, parameters.split, parameters.split_seed)
    unassigned = sorted({case.patient for case in selected} - set(splits))
    if unassigned:
        raise PathoganError(
            f"patient {unassigned[0]} has no split",
            where=f"cohort {source.cohort}",
            remedy="add the patient to the list of splits",
        )
    return {
        "cohort": source.cohort,
        "source": source.source,
        "parameters": {**parameters.as_record(), "split_by": split_by},
        "scans": [[c.scan, c.patient, c.grade, splits[c.patient]] for c in selected],
    }


def _fingerprint(plan: Mapping[str, Any], content: Mapping[str, str]) -> str:
    hashes = [content[scan] for scan, *_ in plan["scans"]]
    return sha256_of_value({**plan, "content": hashes, "revision": REVISION})


def _reuse(
    out: Path,
    selected: Sequence[Case],
    plan: Mapping[str, Any],
    progress: Callable[[int, int], None] | None,
) -> PreparedSlices:
    """The finished folder, if it was made of these very cases with these parameters."""
    prepared = PreparedSlices.open(out)
    told = ("cohort", "source", "parameters")
    refuse_differences(out, {k: prepared.info[k] for k in told}, {k: plan[k] for k in told})
    content = {case.scan: case.content_hash() for case in selected}
    if _fingerprint(plan, content) != prepared.fingerprint:
        raise PathoganError(
            "was made from other scans or splits",
            where=out,
            remedy="delete the folder or choose another",
        )
    forget_progress(out)
    if progress:
        progress(len(selected), len(selected))
    return prepared


def _write_scans(
    selected: Sequence[Case],
    out: Path,
    files: Mapping[Path, int],
    parameters: PreparationParameters,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    count = parameters.slices_per_scan
    total = len(selected) * count
    rows = {case.scan: i * count for i, case in enumerate(selected)}
    finished = read_journal(out)
    pending = [case for case in selected if not _still_valid(case, finished)]
    writer = ArrayWriter({path: (total, size, size) for path, size in files.items()})
    done = len(selected) - len(pending)
    try:
        if progress:
            progress(done, len(selected))
        scans = ordered_map(partial(prepare_scan, parameters=parameters), pending, workers)
        for case, scan in zip(pending, scans, strict=True):
            for (sequence, size), images in scan.images.items():
                writer.write(out / f"{sequence}_{size}.npy", rows[case.scan], images)
            entry = {"scan": case.scan, "content": scan.content_hash, "columns": scan.columns}
            append_journal(out, {**entry, "boxes": scan.boxes})
            done += 1
            if progress:
                progress(done, len(selected))
    finally:
        writer.close()


def _still_valid(case: Case, finished: Mapping[str, dict[str, Any]]) -> bool:
    """Whether the journal's entry is of the files that lie there now."""
    entry = finished.get(case.scan)
    return entry is not None and entry["content"] == case.content_hash()


def _finish(
    out: Path, files: Iterable[Path], plan: Mapping[str, Any], source: CohortSource
) -> None:
    """Write the table, then `prepared.json`: from here on the folder counts as complete."""
    journal = read_journal(out)
    parameters = plan["parameters"]
    table = pd.concat(
        [_rows(scan, parameters, journal[scan[0]]["columns"]) for scan in plan["scans"]],
        ignore_index=True,
    )
    with atomic_write(out / TABLE) as handle:
        table.to_parquet(handle, index=False)
    boxes = None
    if parameters.get("lesion_tissues"):
        by_row = [boxes for scan in plan["scans"] for boxes in journal[scan[0]]["boxes"]]
        boxes = write_boxes(out, by_row)
    write_json(
        out / INFO,
        {
            "cohort": source.cohort,
            "source": source.source,
            "manifest_sha256": source.manifest_sha256,
            "fingerprint": _fingerprint(plan, {s: e["content"] for s, e in journal.items()}),
            "content_sha256": content_sha256(files, table, boxes),
            "patients": int(table["patient"].nunique()),
            "scans": len(plan["scans"]),
            "slices": len(table),
            "parameters": parameters,
            "code_version": __version__,
            "cohort_recipe": None if source.recipe is None else dict(source.recipe),
        },
    )
    forget_progress(out)


def _rows(
    scan: Sequence[str], parameters: Mapping[str, Any], columns: Mapping[str, list[float]]
) -> pd.DataFrame:
    name, patient, grade, split = scan
    numbers = range(parameters["first_slice"], parameters["last_slice"] + 1)
    named = {"patient": patient, "scan": name, "grade": grade, "slice": numbers, "split": split}
    return pd.DataFrame({**named, **columns})
