"""`book/results/runs.yaml`: the runs that are planned, of which some are done.

Items have `chapter`, `setup`, `scale` and, if known, `hours` (of one processor core), `command` and
`note`; what else they have is for `scripts/study.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .evidence import RESULTS, EvidenceError, Run
from .labels import setup_label, split_seed

PLAN = RESULTS / "runs.yaml"


@dataclass
class Task:
    """Runs still to be made of one set-up: one, or one for each of some seeds.

    `hours` is None where an item does not tell.
    """

    chapter: str
    setup: str
    scale: str
    command: str
    note: str
    seeds: list[int] = field(default_factory=list)
    hours: float | None = 0.0

    @property
    def label(self) -> str:
        """The set-up as pages call it."""
        return setup_label(self.setup)


def read_plan(path: Path) -> list[dict[str, Any]]:
    """The planned runs; an empty list where there is no such file."""
    if not path.is_file():
        return []
    items = yaml.safe_load(path.read_text(encoding="utf-8")) or []
    for item in items:
        if not isinstance(item, dict) or not {"chapter", "setup", "scale"} <= item.keys():
            raise EvidenceError(f"{path.name}: each item needs chapter, setup and scale")
        hours = item.get("hours")
        if hours is not None and (isinstance(hours, bool) or not isinstance(hours, (int, float))):
            raise EvidenceError(f"{path.name}: {item['setup']}: hours is {hours!r}, no number")
    return items


def to_do(items: Iterable[dict[str, Any]], done: Iterable[Run]) -> list[Task]:
    """What is left, in the order of the plan; seeds of a set-up together."""
    finished = {
        tuple(run.record.get(name) for name in ("chapter", "setup", "scale")) for run in done
    }
    tasks: dict[tuple[str, ...], Task] = {}
    for item in items:
        if (item["chapter"], item["setup"], item["scale"]) in finished:
            continue
        name, seed = split_seed(str(item["setup"]))
        key = (
            str(item["chapter"]), name, str(item["scale"]),
            str(item.get("command") or ""), str(item.get("note") or ""),
        )  # fmt: skip
        task = tasks.setdefault(key, Task(*key))
        task.seeds += [] if seed is None else [seed]
        hours = item.get("hours")
        task.hours = None if hours is None or task.hours is None else task.hours + hours
    return list(tasks.values())
