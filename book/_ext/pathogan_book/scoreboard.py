"""What the thesis printed beside what this project measured.

{scoreboard} table1     Table 1, cell by cell, beside the same test on our own images
{measures} ch3          every distribution measure of every set-up, with n and interval
"""

from __future__ import annotations

from typing import ClassVar

from docutils import nodes
from sphinx.application import Sphinx

from .evidence import (
    Run,
    interval_text,
    measure_label,
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
TURING_PREFIX = "turing_"
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
    """Distribution measures of each set-up's committed run: value, interval, n and provenance."""

    option_spec: ClassVar = {"table": str}

    def evidence(self) -> list[nodes.Node]:
        path, published = published_table(self.root, self.options.get("table", "table1"))
        self.depend_on(path)
        runs = {setup_of(row): self.usable(self.arguments[0], setup_of(row)) for row in published}
        names = _metric_names([run for run in runs.values() if isinstance(run, Run)])
        headers = ["Set-up", *map(measure_label, names), "Run behind it"]
        if not names:
            headers = ["Set-up", "Distribution measures", "Run behind it"]
        rows: list[list[Cell]] = []
        for name, run in runs.items():
            values: list[Cell] = [[_metric(run, metric)] for metric in names or [""]]
            behind: Cell = [missing(run)] if isinstance(run, str) else run.provenance
            rows.append([setup_label(name), *values, behind])
        return [table(headers, rows, "measures")]


def _metric_names(runs: list[Run]) -> list[str]:
    """Every metric that any of the runs has, readers' answers excepted, in the order first met."""
    names: dict[str, None] = {}
    for run in runs:
        names |= dict.fromkeys(n for n in run["metrics"] if not n.startswith(TURING_PREFIX))
    return list(names)


def _metric(run: Run | str, name: str, scale: float = 1, spec: str = ".3g") -> nodes.Node:
    if isinstance(run, str):
        return missing(run)
    metric = run["metrics"].get(name)
    if metric is None:
        return missing(NOT_RUN)
    text = format(scale * metric["value"], spec)
    if interval := metric.get("interval"):
        scaled = {"interval": [scale * bound for bound in interval]}
        text += f" ({interval_text(scaled, spec)})"
    text += f", n {metric['n']}"
    return explained(text, f"{run.provenance} · {metric.get('interval_method') or ''}".rstrip(" ·"))
