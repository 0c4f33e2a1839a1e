"""When do generated images help? The arms with fewer patients, and with fewer images added.

The thesis' tables have one number of patients and one number of added images. What is to be gained
depends on both, and a simulation has as many patients as one asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from pathogan_core.experiments import varying
from pathogan_core.experiments.chapter4.arms import BASELINE, train_arms
from pathogan_core.experiments.chapter4.classifying import judging, parts_of_arm_setup
from pathogan_core.experiments.chapter4.data import Chapter
from pathogan_core.experiments.published_table2 import ARM_LABELS
from pathogan_core.experiments.store import Run
from pathogan_core.experiments.varying import Committed, Place, real_patients


@dataclass(frozen=True)
class Experiment(varying.Experiment):
    """One parameter that is varied, all else equal.

    Args:
        x: where an arm's run lies on the axis.
    """

    x: Callable[[Run], float]


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
    training = judging(chapter.parameters)
    places = list[Place]()
    for p in varying.at_each_value(chapter.parameters, experiment, BASELINE).values():
        there = Chapter.open(replace(p, trainings=(training,)), progress=chapter.progress)
        places.append(train_arms(there).of(training))
    return places


def committed_arms(runs: Mapping[str, Run], training: str, variant: str = "") -> Place:
    """Committed runs by arm, in the order of Table 2; see `varying.Committed.at`.

    Args:
        runs: by set-up; others than arms may be among them.
        variant: of these. Where the baseline does not differ it has no run in that variant.
    """
    return _committed(runs, training).at(variant)


def committed_places(runs: Mapping[str, Run], training: str, experiment: Experiment) -> list[Place]:
    """An experiment's committed runs: its variants and, with the same arms, the runs of none."""
    return list(_committed(runs, training).places(experiment).values())


def _committed(runs: Mapping[str, Run], training: str) -> Committed:
    def arm_of(setup: str) -> tuple[str, int] | None:
        arm, own, seed = parts_of_arm_setup(setup) or ("", "", 0)
        return (arm, seed) if own == training else None

    return Committed(runs, arm_of, tuple(ARM_LABELS), BASELINE)
