"""Where the book's numbers come from: run records and the tables the thesis printed.

Reads files only. Every function takes the folder that is being built, so that pages describe the
sources beside them.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from .labels import setup_label, split_seed

PUBLISHED = Path("pathogan_core/experiments/published")
RESULTS = Path("book/results")
LOCAL_RUNS = Path("runs")
# A demonstration shows that the code works; what it measures is no evidence.
EVIDENCE_SCALES = ("study", "thesis")
# Measures that a table shows, of the many in a record, in this order.
MEASURES = {
    "kid": "KID ↓",
    "swd_mean": "SWD ↓",
    "msssim_gap": "MS-SSIM gap → 0",
    "precision": "Precision ↑",
    "recall": "Recall ↑",
    "copied_pixels": "Suspected copies ↓",
    "sequences_covered": "Sequences covered ↑",
    "contrast": "Contrast in boxes asked for (% of white)",
    "contrast_not_asked": "In boxes not asked for → 0",
    "border_share": "Left at the box's border (%)",
    "spots": "Spurious spots a slice",
}


class EvidenceError(Exception):
    """A page asks for evidence that cannot exist, or a file is not what it should be."""


@dataclass(frozen=True)
class Run:
    """A run's record (its shape is in ARCHITECTURE.md) and the file it was read from.

    `committed` tells the results that belong to the book from runs of the reader's own machine.
    """

    record: dict[str, Any]
    path: Path
    committed: bool

    def __getitem__(self, field: str) -> Any:
        """A field of the record; one that is not there is an `EvidenceError`."""
        if field not in self.record:
            raise EvidenceError(f"the record of {self.path.parent.name} has no {field!r}")
        return self.record[field]

    @property
    def name(self) -> str:
        """The set-up without its seed, e.g. "WGAN T1c 128", or as it stands in the record."""
        return setup_label(split_seed(str(self.record.get("setup") or self.record.get("run")))[0])

    @property
    def source(self) -> str:
        """What it was trained on: "simulated brats2016", several joined by a comma."""
        inputs = self.record.get("inputs") or {}
        kinds = sorted({f"{i.get('source', '?')} {i.get('cohort', '?')}" for i in inputs.values()})
        return ", ".join(kinds) or "unknown data"

    @property
    def images(self) -> int:
        """Training images over all inputs."""
        return sum(int(i.get("images") or 0) for i in (self.record.get("inputs") or {}).values())

    @property
    def provenance(self) -> str:
        """One line for tooltips and provenance columns."""
        return (
            f"{self['scale']} scale · {self.source} · seed {self['seed']} · "
            f"code {self['code_version']}"
        )


def record_path(root: Path, key: str) -> Path:
    """`ch3/wgan-t1c-128` -> the file that would hold its committed record."""
    return root / RESULTS / key / "record.json"


def read_run(path: Path, *, committed: bool = True) -> Run | None:
    """The run recorded in `path`; None where there is no such file."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise EvidenceError(f"{path.parent.name}/{path.name} is not valid JSON: {error}") from error
    if not isinstance(record, dict) or not isinstance(record.get("metrics", {}), dict):
        raise EvidenceError(f"{path.parent.name}/{path.name} is not a run record")
    return Run(record, path, committed)


def run_store(root: Path) -> Path:
    """Where the runs of this machine lie, as the library finds them."""
    return Path(os.environ.get("PATHOGAN_RUNS") or root / LOCAL_RUNS)


def committed_setups(root: Path, chapter: str) -> list[str]:
    """Set-ups of a chapter that have a committed record, in alphabetical order."""
    return sorted(path.parent.name for path in (root / RESULTS / chapter).glob("*/record.json"))


def evidence_of(root: Path, chapter: str, setup: str) -> list[Run]:
    """The committed runs of a set-up at a scale that counts, by seed.

    They lie in the set-up's own folder, or in one for each seed: `<setup>-seed0`, `<setup>-seed1`.
    """
    names = [
        name for name in committed_setups(root, chapter) if setup in (name, split_seed(name)[0])
    ]
    found = [read_run(record_path(root, f"{chapter}/{name}")) for name in names]
    counted = [run for run in found if run and run["scale"] in EVIDENCE_SCALES]
    return sorted(counted, key=lambda run: int(run["seed"]))


def rests_on(root: Path, run: Run) -> list[Run]:
    """The committed runs that a run's inputs name: a pool of images, say, or the network behind it.

    What is not committed cannot be followed.
    """
    paths = sorted((root / RESULTS).glob("*/*/record.json"))
    committed = _by_name(tuple((path, path.stat().st_mtime_ns) for path in paths))
    inputs = (run.record.get("inputs") or {}).values()
    named = {str(given.get("fingerprint")) for given in inputs} - {run.record.get("run")}
    return [committed[name] for name in sorted(named & committed.keys())]


@lru_cache(maxsize=1)
def _by_name(stamped: tuple[tuple[Path, int], ...]) -> dict[str, Run]:
    """Committed runs by `run`; the times of the files are there for the cache."""
    runs = (read_run(path) for path, _ in stamped)
    return {str(run.record.get("run")): run for run in runs if run}


def all_runs(root: Path) -> list[Run]:
    """Committed study results, then the other runs of this machine, each sorted by set-up."""
    committed = _runs((root / RESULTS).glob("*/*/record.json"), committed=True)
    known = {run.record.get("run") for run in committed}
    local = _runs(run_store(root).glob("*/record.json"), committed=False)
    return committed + [run for run in local if run.record.get("run") not in known]


def _runs(paths: Iterable[Path], *, committed: bool) -> list[Run]:
    found = (read_run(path, committed=committed) for path in paths)
    return sorted(filter(None, found), key=_order)


def _order(run: Run) -> tuple[str, str, str, int]:
    chapter, scale = str(run.record.get("chapter")), str(run.record.get("scale"))
    return chapter, run.name, scale, int(run.record.get("seed") or 0)


def published_table(root: Path, name: str) -> tuple[Path, list[dict[str, str]]]:
    """A table of the thesis by its file's name or an unambiguous beginning of it."""
    found = sorted((root / PUBLISHED).glob(f"{name}*.csv"))
    exact = [path for path in found if path.stem == name] or found
    if len(exact) != 1:
        raise EvidenceError(f"{len(exact)} published tables are called {name!r}")
    with exact[0].open(encoding="utf-8", newline="") as handle:
        return exact[0], list(csv.DictReader(handle))


def published_row(rows: list[dict[str, str]], key: str) -> dict[str, str]:
    """The one row whose first columns, joined by hyphens, are `key` (`wgan-t1c-128`)."""
    matches = [row for row in rows if key in _prefixes(row)]
    if len(matches) != 1:
        raise EvidenceError(f"{len(matches)} rows of the published table match {key!r}")
    return matches[0]


def _prefixes(row: dict[str, str]) -> set[str]:
    values = list(row.values())
    return {"-".join(values[:length]) for length in range(1, len(values))}


def interval_text(metric: dict[str, Any], spec: str = ".3g") -> str:
    """ "0.10 to 0.14", or an empty string where the metric has no interval."""
    interval = metric.get("interval")
    return f"{interval[0]:{spec}} to {interval[1]:{spec}}" if interval else ""


def duration_text(seconds: float) -> str:
    """ "1:02:33" hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))
