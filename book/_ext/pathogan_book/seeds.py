"""Runs of one set-up that differ in their seed, and what they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from docutils import nodes

from .evidence import Run, evidence_of, interval_text
from .staleness import is_stale
from .tables import MIXED, NOT_RUN, STALE, explained, missing

# What must agree between runs whose mean is to be a number of one thing.
SHARED = ("method", "revision", "scale", "config", "inputs", "measured_with")

UNBROKEN_TO = "\u00a0to\u00a0"  # a narrow cell breaks before an interval, not within it


@dataclass(frozen=True)
class Seeds:
    """One or more runs that differ in nothing but their seed."""

    runs: Sequence[Run]

    @property
    def first(self) -> Run:
        """For what they share."""
        return self.runs[0]

    @property
    def provenance(self) -> str:
        """One line for tooltips and provenance columns."""
        if len(self.runs) == 1:
            return self.first.provenance
        seeds = ", ".join(str(run["seed"]) for run in self.runs)
        versions = ", ".join(sorted({str(run["code_version"]) for run in self.runs}))
        return (
            f"{self.first['scale']} scale · {self.first.source} · seeds {seeds} · code {versions}"
        )


def seeds_of(root: Path, chapter: str, setup: str) -> Seeds | str:
    """The runs of a set-up that still describe the code, or the word that stands in their place."""
    found = evidence_of(root, chapter, setup)
    current = [run for run in found if not is_stale(root, run)]
    if not current:
        return STALE if found else NOT_RUN
    first = current[0]
    alike = all(
        run.record.get(name) == first.record.get(name) for run in current for name in SHARED
    )
    different_seeds = len({run["seed"] for run in current}) == len(current)
    return Seeds(current) if alike and different_seeds else MIXED


def metric(
    seeds: Seeds | str,
    name: str,
    scale: float = 1,
    spec: str = ".3g",
    *,
    interval: bool = True,
) -> nodes.Node:
    """A metric: mean, lowest and highest over the seeds; with one seed, its own interval."""
    if isinstance(seeds, str):
        return missing(seeds)
    found = [run["metrics"].get(name) for run in seeds.runs]
    if not all(found):
        return missing(NOT_RUN)
    values = [scale * one["value"] for one in found]
    if len(found) == 1:
        bounds = [scale * bound for bound in found[0].get("interval") or ()]
        method = found[0].get("interval_method") or "no interval"
    else:
        bounds = [min(values), max(values)]
        method = f"mean, lowest and highest of {len(found)} seeds"
    text = format(fmean(values), spec)
    if interval and bounds:
        text += f" ({interval_text({'interval': bounds}, spec)})".replace(" to ", UNBROKEN_TO)
    return explained(text, f"n {found[0]['n']} · {method} · {seeds.provenance}")
