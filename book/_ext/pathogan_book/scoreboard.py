"""What the thesis printed beside what this project measured.

{scoreboard} table1     Table 1, cell by cell, beside the same test on our own images
{measures} ch3          every distribution measure of every set-up, with n and interval
"""

from __future__ import annotations

from typing import ClassVar

from docutils import nodes
from sphinx.application import Sphinx

from .evidence import (
    MEASURES,
    Run,
    committed_setups,
    interval_text,
    published_table,
    read_run,
    record_path,
    setup_label,
    setup_of,
)
from .evidence_directive import EvidenceDirective, merge, read_again
from .staleness import is_stale
from .tables import NOT_RUN, STALE, Cell, explained, missing, note, table

# A reader's answers to images of a run, where a record has them.
TURING_COLUMNS = {
    "accuracy_percent": ("Accuracy", "turing_accuracy"),
    "real_as_real_percent": ("Real as real", "turing_real_as_real"),
    "synthetic_as_real_percent": ("Synthetic as real", "turing_synthetic_as_real"),
}


def setup(app: Sphinx) -> None:
    """Register the directives and read their pages again at every build."""
    app.add_directive("scoreboard", Scoreboard)
    app.add_directive("measures", Measures)
    app.connect("env-get-outdated", read_again)
    app.connect("env-merge-info", merge)


class _BySetup(EvidenceDirective):
    required_arguments = 1

    def usable(self, chapter: str, setup_name: str) -> Run | str:
        """The committed run of a set-up, or the word that stands in its place."""
        path = record_path(self.root, f"{chapter}/{setup_name}")
        self.depend_on(path)
        run = read_run(path)
        if run is None:
            return NOT_RUN
        return STALE if is_stale(self.root, run) else run


class Scoreboard(_BySetup):
    """Table 1 of the thesis beside a reader's answers to this project's images."""

    option_spec: ClassVar = {"chapter": str}

    def evidence(self) -> list[nodes.Node]:
        path, published = published_table(self.root, self.arguments[0])
        self.depend_on(path)
        chapter = self.options.get("chapter", "ch3")
        headers: list[Cell] = ["Set-up"]
        for label, _ in TURING_COLUMNS.values():
            headers += [f"{label} (%), thesis", "here"]
        headers.append("Run behind it")
        rows = [self._row(row, self.usable(chapter, setup_of(row))) for row in published]
        reference = sorted({row["reference"] for row in published})
        said = "; ".join(reference)
        return [
            table(headers, rows, "scoreboard"),
            note(
                f"Thesis: {said}; one physician, 50 real and 50 synthetic images a row. Here: the "
                "same test on images of the run named at the end of the row, where a reader has "
                "taken it."
            ),
        ]

    def _row(self, row: dict[str, str], run: Run | str) -> list[Cell]:
        cells: list[Cell] = [setup_label(setup_of(row))]
        for column, (_, metric) in TURING_COLUMNS.items():
            printed = explained(row[column], f"printed in {row['reference']}", "pg-published")
            cells += [[printed], [_metric(run, metric, scale=100, spec=".0f")]]
        cells.append([missing(run)] if isinstance(run, str) else run.provenance)
        return cells


class Measures(_BySetup):
    """Distribution measures of each set-up's committed run, each beside what real images score."""

    option_spec: ClassVar = {"table": str}

    def evidence(self) -> list[nodes.Node]:
        chapter = self.arguments[0]
        path, published = published_table(self.root, self.options.get("table", "table1"))
        self.depend_on(path)
        setups = dict.fromkeys([*map(setup_of, published), *committed_setups(self.root, chapter)])
        runs = {setup: self.usable(chapter, setup) for setup in setups}
        names = _measured([run for run in runs.values() if isinstance(run, Run)])
        headers = ["Set-up", *(MEASURES[name] for name in names), "Run behind it"]
        rows: list[list[Cell]] = []
        for setup, run in runs.items():
            values: list[Cell] = [_beside_floor(run, name) for name in names]
            behind: Cell = [missing(run)] if isinstance(run, str) else run.provenance
            rows.append([setup_label(setup), *values, behind])
        if not names:
            return [note("No run has been measured yet.")]
        return [
            table(headers, rows, "measures"),
            note(
                "In brackets a 95% interval where an honest one is cheap; after the bar what real "
                "images of other patients score at the same number of images. Point at a value for "
                "its n and its method."
            ),
        ]


def _measured(runs: list[Run]) -> list[str]:
    """The measures for the table that any of the runs has."""
    return [name for name in MEASURES if any(name in run["metrics"] for run in runs)]


def _beside_floor(run: Run | str, name: str) -> list[nodes.Node]:
    shown: list[nodes.Node] = [_metric(run, name)]
    if isinstance(run, Run) and f"{name}_floor" in run["metrics"]:
        shown += [nodes.Text(" | "), _metric(run, f"{name}_floor", interval=False)]
    return shown


def _metric(
    run: Run | str, name: str, scale: float = 1, spec: str = ".3g", *, interval: bool = True
) -> nodes.Node:
    if isinstance(run, str):
        return missing(run)
    metric = run["metrics"].get(name)
    if metric is None:
        return missing(NOT_RUN)
    text = format(scale * metric["value"], spec)
    if interval and (bounds := metric.get("interval")):
        text += f" ({interval_text({'interval': [scale * bound for bound in bounds]}, spec)})"
    origin = f"n {metric['n']} · {metric.get('interval_method') or 'no interval'}"
    return explained(text, f"{origin} · {run.provenance}")
