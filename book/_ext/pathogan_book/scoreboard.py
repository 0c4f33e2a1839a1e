"""What the thesis printed beside what this project measured.

{scoreboard} table1     a published table, cell by cell, beside this project's runs
{measures} ch3          every distribution measure of a chapter's set-ups, with n and interval;
                        :setups: a pattern, e.g. `stage-*`
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import ClassVar

from docutils import nodes
from sphinx.application import Sphinx

from .comparisons import COMPARISONS, Comparison, Row
from .evidence import (
    MEASURES,
    EvidenceError,
    committed_setups,
    published_table,
    record_path,
)
from .evidence_directive import EvidenceDirective, merge, read_again
from .labels import setup_label, split_seed
from .plan import PLAN, read_plan
from .seeds import Seeds, metric, seeds_of
from .tables import Cell, explained, missing, note, table


def setup(app: Sphinx) -> None:
    """Register the directives and read their pages again at every build."""
    app.add_directive("scoreboard", Scoreboard)
    app.add_directive("measures", Measures)
    app.connect("env-get-outdated", read_again)
    app.connect("env-merge-info", merge)


class _BySetup(EvidenceDirective):
    required_arguments = 1

    def usable(self, chapter: str, setup_name: str) -> Seeds | str:
        """The committed runs of a set-up, or the word that stands in their place."""
        found = seeds_of(self.root, chapter, setup_name)
        if isinstance(found, str):
            self.depend_on(record_path(self.root, f"{chapter}/{setup_name}"))
        else:
            self.depend_on(*[run.path for run in found.runs])
        return found


class Scoreboard(_BySetup):
    """A table of the thesis beside what this project's runs measured in the same way."""

    def evidence(self) -> list[nodes.Node]:
        path, published = published_table(self.root, self.arguments[0])
        self.depend_on(path)
        if path.stem not in COMPARISONS:
            raise EvidenceError(f"nothing is known to set beside {path.stem}")
        comparison = COMPARISONS[path.stem]
        headers: list[Cell] = list(comparison.keys)
        for column in comparison.columns.values():
            headers += [f"{column.heading_with_unit}, thesis", "here"]
        headers += ["Seeds", "Scale", "Data"]
        rows = [
            self._row(comparison, row, self.usable(comparison.chapter, comparison.setup(row)))
            for row in published
        ]
        references = "; ".join(sorted({row["reference"] for row in published}))
        return [
            table(headers, rows, "scoreboard"),
            note(f"Thesis: {references}. {comparison.about}"),
        ]

    def _row(self, comparison: Comparison, row: Row, runs: Seeds | str) -> list[Cell]:
        cells: list[Cell] = [tell(row) for tell in comparison.keys.values()]
        for name, column in comparison.columns.items():
            printed = explained(row[name], f"printed in {row['reference']}", "pg-published")
            # As many decimals as the thesis gives.
            decimals = len(row[name].partition(".")[2])
            here = metric(runs, column.metric, scale=column.scale, spec=f".{decimals}f")
            cells += [[printed], [here]]
        if isinstance(runs, str):
            return [*cells, "", "", ""]
        behind = explained(str(len(runs.runs)), runs.provenance)
        return [*cells, [behind], str(runs.first["scale"]), runs.first.source]


class Measures(_BySetup):
    """Distribution measures of each set-up's committed runs, beside what real images score."""

    option_spec: ClassVar = {"setups": str}

    def evidence(self) -> list[nodes.Node]:
        chapter, wanted = self.arguments[0], self.options.get("setups", "*")
        self.depend_on(self.root / PLAN)
        plan = read_plan(self.root / PLAN)
        planned = [str(item["setup"]) for item in plan if item["chapter"] == chapter]
        known = [split_seed(name)[0] for name in (*planned, *committed_setups(self.root, chapter))]
        setups = [name for name in dict.fromkeys(known) if fnmatchcase(name, wanted)]
        runs = {name: self.usable(chapter, name) for name in setups}
        names = _measured(runs.values())
        if not names:
            return [note("No run has been measured yet.")]
        headers: list[Cell] = ["Set-up", *(MEASURES[name] for name in names), "Run behind it"]
        rows: list[list[Cell]] = []
        for name, found in runs.items():
            values: list[Cell] = [_beside_floor(found, measure) for measure in names]
            behind: Cell = [missing(found)] if isinstance(found, str) else found.provenance
            rows.append([setup_label(name), *values, behind])
        floors = _measured(runs.values(), "_floor")
        beside = "; after the bar what real images of other patients score at the same number of "
        return [
            table(headers, rows, "measures"),
            note(
                "In brackets a 95% interval where an honest one is cheap"
                f"{beside + 'images' if floors else ''}. Point at a value for its n and its method."
            ),
        ]


def _measured(found: Iterable[Seeds | str], suffix: str = "") -> list[str]:
    """The measures for the table that any of the runs has, or has with this suffix."""
    runs = [run for seeds in found if isinstance(seeds, Seeds) for run in seeds.runs]
    return [name for name in MEASURES if any(name + suffix in run["metrics"] for run in runs)]


def _beside_floor(seeds: Seeds | str, name: str) -> list[nodes.Node]:
    shown: list[nodes.Node] = [metric(seeds, name)]
    if isinstance(seeds, Seeds) and f"{name}_floor" in seeds.first["metrics"]:
        shown += [nodes.Text(" | "), metric(seeds, f"{name}_floor", interval=False)]
    return shown
