"""`{runs}`: every run behind the book, and the runs that are still to be done.

With `:origin: committed` the runs that belong to the book, with `:origin: local` the others of the
machine that builds the pages, without the second list. That list is the plan (`plan.py`). An item
whose record has arrived is dropped from the list by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx

from .evidence import Run, all_runs, duration_text
from .evidence_directive import EvidenceDirective
from .plan import PLAN, Task, read_plan, to_do
from .staleness import is_stale
from .tables import NOT_RUN, STALE, Cell, explained, missing, note, table

NONE = {
    "committed": "No finished runs are committed with this book yet.",
    "local": "This machine holds no finished runs.",
    "all": "No finished runs were found.",
}
HEADERS: list[Cell] = [
    "Run", "Chapter", "Scale", "Seed", "Data", "Steps", "Images seen", "Duration", "Device",
    "Threads", "Finished",
]  # fmt: skip
# Columns of the plan that appear only where an item has them.
TOLD: dict[str, Callable[[Task], str]] = {
    "Seeds": lambda task: ", ".join(map(str, task.seeds)),
    "Hours": lambda task: f"{task.hours:.3g}" if task.hours else "",
    "Command": lambda task: task.command,
}


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
            _number(run["chapter"]),
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
        self.depend_on(self.root / PLAN)
        tasks = to_do(read_plan(self.root / PLAN), runs)
        if not tasks:
            return []
        told = {name: tell for name, tell in TOLD.items() if any(map(tell, tasks))}
        headers: list[Cell] = ["Run to do", "Chapter", "Scale", "State", *told]
        rows: list[list[Cell]] = [
            [
                task.label,
                _number(task.chapter),
                task.scale,
                [missing(NOT_RUN)],
                *[tell(task) for tell in told.values()],
            ]
            for task in tasks
        ]
        found: list[nodes.Node] = [table(headers, rows, "plan")]
        for text in dict.fromkeys(task.note for task in tasks if task.note):
            about = "; ".join(task.label for task in tasks if task.note == text)
            found.append(note(f"{about}: {text}."))
        if hours := sum(task.hours or 0 for task in tasks):
            found.append(note(f"Hours are estimates on one processor core: {hours:.3g} in all."))
        return found


def _number(chapter: str) -> str:
    """`ch4` -> "4"."""
    return str(chapter).removeprefix("ch")


def _origin(run: Run) -> str:
    return "committed" if run.committed else "local"
