"""LUNA16's CSV files: read, refused in one line, and judged in JSON and words.

Annotations and excluded findings are `seriesuid,coordX,coordY,coordZ,diameter_mm`, detections the
same with `probability` in place of the diameter. The list of series has one to a line and no
header. Upper and lower case of column names are alike, and further columns are ignored, but for an
optional `attenuation` of annotations: it adds sensitivity by that class. Rules for what is unusual
but means something:

- a series of the list without a nodule counts in the false positives per scan;
- no detections at all (a header only): nothing is found, and nothing is a false positive;
- no annotations at all: sensitivity is undefined (null);
- no excluded findings: a header only;
- any finite score will do, and equal ones are one point of the curve;
- equal rows are kept, among nodules (both are found) and among detections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.cpm import ALL, Cpm, Curve, curve, measure, size_classes
from pathogan_core.evaluation.csv_rows import read_names, read_numbers, read_rows
from pathogan_core.evaluation.detection import LEVELS
from pathogan_core.evaluation.luna import MOST_MARKS, Findings, Marks, judge
from pathogan_core.evaluation.text_table import aligned, percent

SERIES = "seriesuid"
CENTRE_COLUMNS = (SERIES, "coordx", "coordy", "coordz")
FINDING_COLUMNS = (*CENTRE_COLUMNS, "diameter_mm")
MARK_COLUMNS = (*CENTRE_COLUMNS, "probability")
ATTENUATION = "attenuation"
BY_SIZE, BY_ATTENUATION = "by_size", "by_attenuation"


def read_series(path: str | Path) -> list[str]:
    """Identifiers of all series, one to a line.

    Raises:
        PathoganError: as `csv_rows.read_names`; a header, or a line with several cells.
    """
    names = read_names(path, "scan")
    if names[0].strip('"').lower() == SERIES:
        raise PathoganError("has a header", where=path, remedy="remove its first line")
    several = next((name for name in names if "," in name), None)
    if several is not None:
        problem = f"{several!r} is more than the identifier of a series"
        raise PathoganError(problem, where=path, remedy="give one to a line, and nothing else")
    return names


def read_annotations(path: str | Path, series: Sequence[str]) -> Findings:
    """Nodules of the series, from a CSV with the columns `FINDING_COLUMNS`.

    Raises:
        PathoganError: as `csv_rows.read_numbers`; a diameter that is not above 0. The line names
            the row.
    """
    scans, numbers, places = read_numbers(path, FINDING_COLUMNS, series, "scan")
    wrong = np.flatnonzero(numbers[:, 3] <= 0)
    if len(wrong):
        problem = f"{places[wrong[0]]}: diameter_mm is {numbers[wrong[0], 3]:g}"
        remedy = "give one above 0: unknown (negative) diameters are for excluded findings"
        raise PathoganError(problem, where=path, remedy=remedy)
    return Findings(scans, numbers[:, :3], numbers[:, 3])


def read_excluded(path: str | Path, series: Sequence[str]) -> Findings:
    """Excluded findings, from a CSV with the columns `FINDING_COLUMNS`; see `luna` on diameters.

    Raises:
        PathoganError: as `csv_rows.read_numbers`.
    """
    scans, numbers, _ = read_numbers(path, FINDING_COLUMNS, series, "scan")
    return Findings(scans, numbers[:, :3], numbers[:, 3])


def read_marks(path: str | Path, series: Sequence[str]) -> Marks:
    """A detector's marks, from a CSV with the columns `MARK_COLUMNS`.

    Raises:
        PathoganError: as `csv_rows.read_numbers`.
    """
    scans, numbers, _ = read_numbers(path, MARK_COLUMNS, series, "scan")
    return Marks(scans, numbers[:, :3], numbers[:, 3])


def read_attenuations(path: str | Path) -> dict[str, NDArray[np.bool_]]:
    """Which of the annotations have which attenuation, in order of names; empty without a column.

    Raises:
        PathoganError: as `csv_rows.read_rows`; a nodule without an attenuation where others have.
    """
    names = []
    for place, row in read_rows(path, FINDING_COLUMNS, (ATTENUATION,), may_be_empty=True):
        if ATTENUATION not in row:
            return {}
        if not row[ATTENUATION]:
            problem = f"{place}: {ATTENUATION} is empty"
            raise PathoganError(problem, where=path, remedy="name it, or leave the column out")
        names.append(row[ATTENUATION])
    given = np.array(names)
    return {name: given == name for name in sorted(set(names))}


def evaluate(
    series: Sequence[str],
    nodules: Findings,
    excluded: Findings,
    marks: Marks,
    attenuations: Mapping[str, NDArray[np.bool_]] | None = None,
) -> dict[str, Any]:
    """Everything `pathogan evaluate froc` reports, as JSON takes it.

    Args:
        series: every scan there is.
        nodules, excluded, marks: in these scans; see `luna.judge`.
        attenuations: by name, which nodules have it.

    Returns:
        `cpm`, `sensitivity` at the seven `rates` in order, the CPM's 95% `interval`, those of the
        sensitivities, and `nodules`; the same by class in `by_size` and, if given,
        `by_attenuation`; `counts`; and the curve `froc` (columns `score`, `fps_per_scan`,
        `sensitivity`). Sensitivities are None where there is no nodule, intervals also where there
        is one scan only, and the score of the curve's beginning always.

    Raises:
        PathoganError: as `luna.judge`.
    """
    judged = judge(len(series), nodules, excluded, marks)
    kinds = {BY_SIZE: size_classes(nodules.diameters_mm)}
    if attenuations:
        kinds[BY_ATTENUATION] = dict(attenuations)
    classes = {f"{kind} {name}": own for kind, of in kinds.items() for name, own in of.items()}
    found = measure(judged, classes)
    return {
        **_figures(found[ALL]),
        "rates": list(LEVELS),
        **{
            kind: {name: _figures(found[f"{kind} {name}"]) for name in of}
            for kind, of in kinds.items()
        },
        "counts": {
            "scans": judged.scans,
            "nodules": len(judged.found_at),
            "found": int(np.isfinite(judged.found_at).sum()),
            "marks": len(marks.scores),
            "false_positives": len(judged.false_at),
        },
        "froc": _columns(curve(judged), len(judged.found_at)),
    }


def _figures(cpm: Cpm) -> dict[str, Any]:
    return {
        "cpm": cpm.value,
        "sensitivity": _list(cpm.sensitivity) or [None] * len(cpm.rates),
        "interval": _list(cpm.interval),
        "sensitivity_intervals": cpm.intervals and [list(one) for one in cpm.intervals],
        "nodules": cpm.nodules,
    }


def _list(values: Sequence[float] | None) -> list[float] | None:
    return None if values is None else list(values)


def _columns(froc: Curve, nodules: int) -> dict[str, list[float | None]]:
    return {
        "score": [None, *froc.scores[1:].tolist()],
        "fps_per_scan": froc.fps_per_scan.tolist(),
        "sensitivity": froc.sensitivity.tolist() if nodules else [None] * len(froc.scores),
    }


def as_table(figures: Mapping[str, Any]) -> str:
    """What `evaluate` returns as aligned text columns: rates down, classes across."""
    named = {
        ALL: figures,
        **{name: own for kind in (BY_SIZE, BY_ATTENUATION)
           for name, own in figures.get(kind, {}).items()},
    }  # fmt: skip
    ends = figures["froc"]["fps_per_scan"][-1]
    marks = ["*" if rate > ends else "" for rate in figures["rates"]]
    rows = [("FPs per scan", *named), ("nodules", *(str(own["nodules"]) for own in named.values()))]
    for number, rate in enumerate(figures["rates"]):
        cells = (
            _cell(own["sensitivity"][number], own["sensitivity_intervals"], number)
            for own in named.values()
        )
        rows.append((f"{rate:g}{marks[number]}", *cells))
    rows.append(("CPM", *(_cell(own["cpm"], own["interval"]) for own in named.values())))
    return "\n".join(aligned(rows))


def _cell(value: float | None, intervals: Sequence[Any] | None, number: int | None = None) -> str:
    """A percentage with its interval, where there is one."""
    if intervals is None:
        return percent(value)
    low, high = intervals if number is None else intervals[number]
    return f"{percent(value)} ({100 * low:.1f}-{percent(high)})"


def explain(figures: Mapping[str, Any]) -> str:
    """What the figures rest on and where they say nothing, in plain sentences."""
    counts, ends = figures["counts"], figures["froc"]["fps_per_scan"][-1]
    said = [
        f"{counts['scans']:,} scans, {counts['nodules']:,} nodules, {counts['marks']:,} marks:"
        f" {counts['found']:,} nodules found, {counts['false_positives']:,} false positives (FPs)."
        " The other marks hit a nodule that a better one hits, lie on an excluded finding, or come"
        f" after the {MOST_MARKS} best of their scan.",
        "By LUNA16's rules. Every class is read at the false positives of the whole curve.",
    ]
    if not counts["nodules"]:
        said.append("There is no nodule in any scan: sensitivity is undefined.")
    if not counts["marks"]:
        said.append("There are no marks: nothing is found, nothing is a false positive.")
    elif any(rate > ends for rate in figures["rates"]):
        said.append("* the curve ends before this rate: its last point is given.")
    if counts["scans"] > 1:
        said.append("Intervals: 95%, bootstrap over scans.")
    else:
        said.append("There is one scan only: no intervals.")
    return "\n".join(said)
