"""`{runs}`: every run behind the book, and the runs that are still to be done.

With `:origin: committed` the runs that belong to the book, with `:origin: local` the others of the
machine that builds the pages, without the second list. That list is `book/results/runs.yaml`: items
with `chapter`, `setup`, `scale` and, if known, `command` and `note`. An item whose record has
arrived is dropped from the list by itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import yaml
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx

from .evidence import RESULTS, EvidenceError, Run, all_runs, duration_text, setup_label
from .evidence_directive import EvidenceDirective
from .staleness import is_stale
from .tables import NOT_RUN, STALE, Cell, explained, missing, note, table

PLAN = RESULTS / "runs.yaml"
NONE = {
    "committed": "No finished runs are committed with this book yet.",
    "local": "This machine holds no finished runs.",
    "all": "No finished runs were found.",
}
HEADERS: list[Cell] = [
    "Run", "Scale", "Seed", "Data", "Steps", "Images seen", "Duration", "Device", "Threads",
    "Finished",
]  # fmt: skip


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("runs", Runs)


def _origin_choice(value: str) -> str:
    return directives.choice(value, tuple(NONE))


class Runs(EvidenceDirective):
    """Two tables: runs done (`:origin: committed`, `local` or `all`) and runs to do."""

    option_spec: ClassVar = {"origin": _origin_choice}

    def evidence(self) -> list[nodes.Node]:
        origin = self.options.get("origin", "all")
        runs = [r for r in all_runs(self.root) if origin in ("all", _origin(r))]
        self.depend_on(*[run.path for run in runs])
        found: list[nodes.Node] = []
        if runs:
            found.append(table(HEADERS, [self._row(run) for run in runs], "runs"))
        else:
            found.append(note(NONE[origin]))
        if origin != "local":
            found += self._to_do(runs)
        return found

    def _row(self, run: Run) -> list[Cell]:
        libraries = ", ".join(f"{k} {v}" for k, v in sorted((run["libraries"] or {}).items()))
        label = explained(run.name, f"{run['run']} · code {run['code_version']} · {libraries}")
        name: list[nodes.Node] = [label]
        if not run.committed:  # several may be of one set-up; this is what `pathogan runs` calls it
            name += [nodes.Text(" "), nodes.literal("", run["run"])]
        if is_stale(self.root, run):
            name += [nodes.Text(" "), missing(STALE)]
        return [
            name,
            str(run["scale"]),
            str(run["seed"]),
            run.source,
            f"{run['steps']:,}",
            f"{run['images_seen']:,}",
            duration_text(run["wall_s"]),
            str(run["device"]),
            str(run["threads"]),
            str(run["finished"])[:10],
        ]

    def _to_do(self, runs: list[Run]) -> list[nodes.Node]:
        path = self.root / PLAN
        self.depend_on(path)
        done = {
            (r.record.get("chapter"), r.record.get("setup"), r.record.get("scale")) for r in runs
        }
        open_items = [
            item
            for item in read_plan(path)
            if (item["chapter"], item["setup"], item["scale"]) not in done
        ]
        if not open_items:
            return []
        used = [name for name in ("command", "note") if any(item.get(name) for item in open_items)]
        headers: list[Cell] = ["Run to do", "Scale", "State", *map(str.capitalize, used)]
        rows: list[list[Cell]] = [
            [
                setup_label(str(item["setup"])),
                str(item["scale"]),
                [missing(NOT_RUN)],
                *[str(item.get(name) or "") for name in used],
            ]
            for item in open_items
        ]
        return [table(headers, rows, "plan")]


def read_plan(path: Path) -> list[dict[str, str]]:
    """The runs to be done; an empty list where there is no such file."""
    if not path.is_file():
        return []
    items = yaml.safe_load(path.read_text(encoding="utf-8")) or []
    for item in items:
        if not isinstance(item, dict) or not {"chapter", "setup", "scale"} <= item.keys():
            raise EvidenceError(f"{path.name}: each item needs chapter, setup and scale")
    return items


def _origin(run: Run) -> str:
    return "committed" if run.committed else "local"
