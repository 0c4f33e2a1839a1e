"""Some of a chapter's arms again, with other values of one parameter: what the chapters share.

A chapter names its experiments and its arms. Runs are made at each value (`at_each_value`), or are
committed study runs whose names say at which value they were made (`Committed`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, replace
from typing import Any, ClassVar, Protocol, TypeVar

from pathogan_core.errors import PathoganError
from pathogan_core.experiments.committed import split_variant
from pathogan_core.experiments.store import Run

Place = Mapping[str, Sequence[Run]]
"""The runs of an experiment at one value, by arm: the baseline's and others with its seeds."""


@dataclass(frozen=True)
class Experiment:
    """One parameter that is varied, all else equal.

    Args:
        parameter: of the chapter's `Parameters`, that is varied.
        values: the parameter that lists its values.
        variant: what the names of committed variants begin with, e.g. ``patients`` of
            ``arm-real@patients21-seed0``; the value, a whole number, follows.
        axis: what a figure calls the value.
    """

    parameter: str
    values: str
    variant: str
    axis: str


class Varied(Protocol):
    """A chapter's `Parameters`, a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def vary_arms(self) -> tuple[str, ...]:
        """The arms that are made at each value."""


P = TypeVar("P", bound=Varied)


def at_each_value(p: P, experiment: Experiment, baseline: str) -> dict[float, P]:
    """The parameters at each of the experiment's values, with the arms `vary_arms`.

    Raises:
        PathoganError: the baseline is not among the arms, or a value is impossible.
    """
    if baseline not in p.vary_arms:
        remedy = f"add {baseline}, to which the others are compared"
        raise PathoganError("lacks the baseline", where="vary_arms", remedy=remedy)
    return {
        value: replace(p, **{experiment.parameter: value, "arms": p.vary_arms})
        for value in getattr(p, experiment.values)
    }


def real_patients(run: Run) -> float:
    """Patients whose real images an arm learned from."""
    return float(run.record.inputs["images"]["patients"])


@dataclass(frozen=True)
class Committed:
    """A chapter's committed runs, and which of them are arms.

    Args:
        runs: by set-up; others than arms may be among them.
        arm_of: arm and seed of a set-up's name without its variant; None for any other.
        arms: that may be compared, in the order of the thesis' table.
        baseline: one of them.
    """

    runs: Mapping[str, Run]
    arm_of: Callable[[str], tuple[str, int] | None]
    arms: Sequence[str]
    baseline: str

    def at(self, variant: str = "") -> Place:
        """Arms with the baseline's seeds and real images, in the order of the table.

        Args:
            variant: of these. Where the baseline does not differ it has no run in that variant.
        """
        found = self._by_arm(variant)
        baseline = found.get(self.baseline) or self._by_arm("").get(self.baseline, {})
        comparable = {arm: own for arm, own in found.items() if _real(own) == _real(baseline)}
        if not comparable:
            return {}
        comparable[self.baseline] = baseline
        seeds = sorted(baseline)
        return {
            arm: [comparable[arm][seed] for seed in seeds] for arm in self.arms if arm in comparable
        }

    def places(self, experiment: Experiment) -> dict[float | None, Place]:
        """An experiment's variants by value and, with the same arms, the runs of none (None).

        Empty where no variant has an arm beside its baseline.
        """
        names = {split_variant(setup)[1] for setup in self.runs}
        varied: dict[float | None, Place] = {}
        for name in sorted(names):
            value = re.fullmatch(rf"{experiment.variant}([0-9]+)", name)
            if value and len(place := self.at(name)) > 1:
                varied[float(value[1])] = place
        arms = {arm for place in varied.values() for arm in place}
        unvaried = {arm: own for arm, own in self.at().items() if arm in arms}
        return {**varied, None: unvaried} if varied else {}

    def _by_arm(self, variant: str) -> dict[str, dict[int, Run]]:
        """By arm and seed."""
        found: dict[str, dict[int, Run]] = {}
        for name, run in self.runs.items():
            setup, own = split_variant(name)
            named = self.arm_of(setup)
            if named and own == variant:
                arm, seed = named
                found.setdefault(arm, {})[seed] = run
        return found


def _real(runs: Mapping[int, Run]) -> dict[int, object]:
    """The real images that the run of each seed learned from."""
    return {seed: run.record.inputs["images"] for seed, run in runs.items()}
