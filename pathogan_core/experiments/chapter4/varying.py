"""When do generated images help? The arms with fewer patients, and with fewer images added.

The thesis' tables have one number of patients and one number of added images. What is to be gained
depends on both, and a simulation has as many patients as one asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pathogan_core.errors import PathoganError
from pathogan_core.experiments.chapter4.arms import BASELINE, train_arms
from pathogan_core.experiments.chapter4.classifying import judging, parts_of_arm_setup
from pathogan_core.experiments.chapter4.data import Chapter
from pathogan_core.experiments.committed import split_variant
from pathogan_core.experiments.published_table2 import ARM_LABELS
from pathogan_core.experiments.store import Run

Place = Mapping[str, Sequence[Run]]
"""The runs of an experiment at one value, by arm: the baseline's and others with its seeds."""


@dataclass(frozen=True)
class Experiment:
    """One parameter that is varied, all else equal.

    Args:
        parameter: of `Parameters`, that is varied.
        values: the parameter that lists its values.
        variant: what the names of committed variants begin with, e.g. ``patients`` of
            ``arm-real-scratch@patients16-seed0``.
        axis: what a figure calls `x`.
        x: where an arm's run lies on that axis.
    """

    parameter: str
    values: str
    variant: str
    axis: str
    x: Callable[[Run], float]


def real_patients(run: Run) -> float:
    """Patients whose real images a classifier learned from."""
    return float(run.record.inputs["images"]["patients"])


def added_per_real(run: Run) -> float:
    """Images added to each real one, of all kinds together."""
    counts = {name: count for name, count, _ in run.record.config["sets"]}
    real = counts.pop("real")
    return sum(counts.values()) / real


EXPERIMENTS = {
    "patients": Experiment(
        "train_patients", "vary_patients", "patients", "real patients", real_patients
    ),
    "added": Experiment(
        "added_images", "vary_added", "added", "added images for each real one", added_per_real
    ),
}


def vary(chapter: Chapter, experiment: Experiment) -> list[Place]:
    """The arms `vary_arms` at each of the experiment's values: found, resumed or trained.

    With fewer patients PGGAN has fewer images, too; how often it sees each of them is the same
    where its schedule is one of epochs (`pggan_epochs`).

    Raises:
        PathoganError: the baseline is not among the arms, or a value is impossible.
    """
    p = chapter.parameters
    if BASELINE not in p.vary_arms:
        remedy = f"add {BASELINE}, to which the others are compared"
        raise PathoganError("lacks the baseline", where="vary_arms", remedy=remedy)
    training, places = judging(p), list[Place]()
    for value in getattr(p, experiment.values):
        changes = {experiment.parameter: value, "arms": p.vary_arms, "trainings": (training,)}
        there = Chapter.open(replace(p, **changes), progress=chapter.progress)
        places.append(train_arms(there).of(training))
    return places


def committed_arms(runs: Mapping[str, Run], training: str, variant: str = "") -> Place:
    """Committed runs by arm, in the order of Table 2: arms with the baseline's seeds and patients.

    Args:
        runs: by set-up; others than arms may be among them.
        variant: of these. Where the baseline does not differ it has no run in that variant.
    """
    found = _by_arm(runs, training, variant)
    baseline = found.get(BASELINE) or _by_arm(runs, training, "").get(BASELINE, {})
    comparable = {arm: own for arm, own in found.items() if _real(own) == _real(baseline)}
    if not comparable:
        return {}
    comparable[BASELINE] = baseline
    seeds = sorted(baseline)
    return {
        arm: [comparable[arm][seed] for seed in seeds] for arm in ARM_LABELS if arm in comparable
    }


def _real(runs: Mapping[int, Run]) -> dict[int, object]:
    """The real images that the run of each seed learned from."""
    return {seed: run.record.inputs["images"] for seed, run in runs.items()}


def committed_places(runs: Mapping[str, Run], training: str, experiment: Experiment) -> list[Place]:
    """An experiment's committed runs: its variants and, with the same arms, the runs of none."""
    names = {split_variant(setup)[1] for setup in runs}
    variants = [name for name in names if name.rstrip("0123456789") == experiment.variant]
    varied = [committed_arms(runs, training, name) for name in sorted(variants)]
    varied = [place for place in varied if len(place) > 1]
    arms = {arm for place in varied for arm in place}
    unvaried = committed_arms(runs, training)
    return [*varied, {arm: own for arm, own in unvaried.items() if arm in arms}] if varied else []


def _by_arm(runs: Mapping[str, Run], training: str, variant: str) -> dict[str, dict[int, Run]]:
    """By arm and seed."""
    found: dict[str, dict[int, Run]] = {}
    for name, run in runs.items():
        setup, own = split_variant(name)
        parts = parts_of_arm_setup(setup)
        if parts and own == variant and parts[1] == training:
            arm, _, seed = parts
            found.setdefault(arm, {})[seed] = run
    return found
