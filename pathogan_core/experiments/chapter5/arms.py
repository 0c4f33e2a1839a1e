"""The arms of Table 4: what is added to the real slices, and what that changes (thesis 5.2.3).

An arm is data: how many images of which family are added. Asking for one makes what it rests on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pathogan_core.cad.boxed_images import BoxedImages
from pathogan_core.evaluation import detection, detection_comparison
from pathogan_core.evaluation.detection import Froc
from pathogan_core.evaluation.paired import Difference
from pathogan_core.experiments.chapter5 import filling
from pathogan_core.experiments.chapter5.answering import answers
from pathogan_core.experiments.chapter5.data import BoxedSlices, Chapter
from pathogan_core.experiments.chapter5.detecting import (
    arm_setup,
    parts_of_arm_setup,
    train_detector,
)
from pathogan_core.experiments.chapter5.filling import flattened
from pathogan_core.experiments.chapter5.parameters import units
from pathogan_core.experiments.comparing import check_paired
from pathogan_core.experiments.pooling import made_by
from pathogan_core.experiments.published_table4 import ARMS, BASELINE
from pathogan_core.experiments.store import Run


@dataclass(frozen=True)
class Arm:
    """What is added to the real slices.

    Args:
        family: whose images, of `parameters.GANS`; None: nobody's.
        units: how many, in units of "4k" (`Parameters.added_images`).
    """

    family: str | None = None
    units: int = 0


TABLE: Mapping[str, Arm] = {
    arm: Arm(family, units(arm)) if units(arm) else Arm() for arm, (family, _) in ARMS.items()
}


def train_arms(chapter: Chapter) -> dict[str, list[Run]]:
    """The arms and seeds that the parameters name: by arm, one run for each seed."""
    p = chapter.parameters
    return {arm: [train_arm(chapter, arm, seed) for seed in p.seeds] for arm in p.arms}


def train_arm(chapter: Chapter, arm: str, seed: int) -> Run:
    """The detector of one arm and seed: found, resumed or trained."""
    sets, made_from = image_sets(chapter, TABLE[arm])
    return train_detector(chapter, arm_setup(arm, seed), sets, made_from, seed)


def image_sets(chapter: Chapter, arm: Arm) -> tuple[list[BoxedImages], dict[str, Any]]:
    """What a detector of this arm learns from, and entries of its record's inputs."""
    sets, made_from = [real_set(chapter.training)], dict[str, Any]()
    if arm.family:
        pool = filling.filled(chapter, arm.family)
        count = arm.units * chapter.parameters.added_images
        sets.append(filling.boxed(pool, count, arm.family))
        made_from["synthetic"] = made_by(pool)
    return sets, made_from


def real_set(slices: BoxedSlices) -> BoxedImages:
    """Real slices with their rough boxes, all that the thesis has."""
    boxes, rows = flattened(slices.rough)
    return BoxedImages("real", slices.images, boxes, rows)


def differences_to_baseline(
    runs: Mapping[str, Sequence[Run]],
    *,
    iou: float = 0.5,
    slices: str = "annotated",
    truth: str = "rough",
    baseline: str = BASELINE,
) -> dict[str, dict[str, Difference]]:
    """Each arm's paired difference to the baseline, by arm and measure, over the same seeds.

    Args:
        runs: by arm, in the same order of seeds; live or committed.
        iou: one of `detection.IOUS`.
        slices, truth: of `answering.SLICES` and `answering.TRUTHS`; committed runs hold the
            annotated slices only.

    Raises:
        PathoganError: no baseline among them, or arms of other seeds or other real images.
    """
    check_paired(runs, baseline)
    tested = {arm: [answers(run).among(slices) for run in own] for arm, own in runs.items()}
    outcomes = {arm: [one.outcomes(truth) for one in own] for arm, own in tested.items()}
    reference, patients = outcomes.pop(baseline), tested[baseline][0].patients
    return detection_comparison.compare(reference, outcomes, patients, iou=iou)


def curves(
    runs: Mapping[str, Sequence[Run]],
    *,
    iou: float = 0.5,
    slices: str = "annotated",
    truth: str = "rough",
) -> dict[str, list[Froc]]:
    """The FROC curve of every run, by arm; arguments as of `differences_to_baseline`."""
    return {
        arm: [detection.froc(answers(run).among(slices).outcomes(truth), iou) for run in own]
        for arm, own in runs.items()
    }


def committed_arms(study: Mapping[str, Run]) -> dict[str, list[Run]]:
    """Of a chapter's committed runs the arms with all of the baseline's seeds, in Table 4's order.

    Args:
        study: by set-up, as `committed.committed_runs` gives them.
    """
    by_arm: dict[str, dict[int, Run]] = {arm: {} for arm in TABLE}
    for setup, run in study.items():
        arm, seed = parts_of_arm_setup(setup) or ("", 0)
        if arm in by_arm:  # no variant
            by_arm[arm][seed] = run
    seeds = sorted(by_arm[BASELINE])
    return {
        arm: [own[seed] for seed in seeds]
        for arm, own in by_arm.items()
        if seeds and set(seeds) <= set(own)
    }
