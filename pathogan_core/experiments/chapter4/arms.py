"""The arms of Table 2: what is added to the real images, and what that changes (thesis 4.2.4).

An arm is data: which sets of images it is made of. Asking for one makes whatever it rests on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pathogan_core.cad.image_sets import ImageSet
from pathogan_core.cad.imagenet import MissingImageNetWeights, published_file
from pathogan_core.cad.resnet50 import SCRATCH
from pathogan_core.cohorts.slice_classes import CLASSES
from pathogan_core.evaluation import classification
from pathogan_core.evaluation.classification import Difference
from pathogan_core.experiments import pooling
from pathogan_core.experiments.chapter4 import classifying, configurations, pools, refining
from pathogan_core.experiments.chapter4.classifying import arm_setup, train_classifier
from pathogan_core.experiments.chapter4.data import Chapter, labels_of
from pathogan_core.experiments.chapter4.parameters import Parameters
from pathogan_core.experiments.comparing import check_paired
from pathogan_core.experiments.store import Run

BASELINE = "real"


@dataclass(frozen=True)
class Arm:
    """What is added to the real images.

    Args:
        classic: augmented real images, in units of "200k" (`Parameters.added_images`).
        synthetic: ``pggan``, ``undiscarded``, ``munit`` or ``simgan``; one unit of them.
    """

    classic: int = 0
    synthetic: str | None = None


ARMS: Mapping[str, Arm] = {
    "real": Arm(),
    "classic-200k": Arm(classic=1),
    "classic-400k": Arm(classic=2),
    "pggan": Arm(synthetic="pggan"),
    "pggan-undiscarded": Arm(synthetic="undiscarded"),
    "classic-pggan": Arm(classic=1, synthetic="pggan"),
    "munit": Arm(synthetic="munit"),
    "classic-munit": Arm(classic=1, synthetic="munit"),
    "simgan": Arm(synthetic="simgan"),
    "classic-simgan": Arm(classic=1, synthetic="simgan"),
}


def train_arm(chapter: Chapter, arm: str, training: str, seed: int) -> Run:
    """The classifier of one arm, training and seed: found, resumed or trained."""
    sets, made_from = image_sets(chapter, ARMS[arm])
    setup = arm_setup(arm, training, seed)
    return train_classifier(chapter, setup, sets, made_from, training, seed)


@dataclass(frozen=True)
class Grid:
    """Arms by (arm, training): runs, one for each seed, or why there are none."""

    runs: dict[tuple[str, str], list[Run]]
    not_run: dict[tuple[str, str], str]

    def of(self, training: str) -> dict[str, list[Run]]:
        """The runs of one training by arm."""
        return {arm: runs for (arm, own), runs in self.runs.items() if own == training}


def train_arms(chapter: Chapter) -> Grid:
    """The arms, trainings and seeds that the parameters name.

    What needs ImageNet weights that are not there is left out, and everything else is run.

    Raises:
        PathoganError: the file of weights is another one; nothing has been made then.
    """
    p, grid = chapter.parameters, Grid({}, {})
    reasons = {training: _reason_not_to_run(p, training) for training in p.trainings}
    for training, reason in reasons.items():
        for arm in p.arms:
            if reason:
                grid.not_run[arm, training] = reason
            else:
                runs = [train_arm(chapter, arm, training, seed) for seed in p.seeds]
                grid.runs[arm, training] = runs
    return grid


def _reason_not_to_run(p: Parameters, training: str) -> str:
    """That the weights which a training begins with are missing; empty if they are not."""
    config = configurations.classifier(p, training)
    if config.initial == SCRATCH:
        return ""
    try:
        published_file(configurations.imagenet_weights(p), config.model, config.initial)
    except MissingImageNetWeights as error:
        return f"{error.problem}: {error.remedy}"
    return ""


def image_sets(chapter: Chapter, arm: Arm) -> tuple[list[ImageSet], dict[str, Any]]:
    """What a classifier of this arm learns from, and entries of its record's inputs."""
    unit = chapter.parameters.added_images
    sets, made_from = [chapter.training], dict[str, Any]()
    if arm.classic:
        added = replace(chapter.training, name="classic", count=arm.classic * unit, augmented=True)
        sets.append(added)
    if arm.synthetic:
        synthetic, made_from = _synthetic(chapter, arm.synthetic)
        sets.append(replace(synthetic, count=unit))
    return sets, made_from


def _synthetic(chapter: Chapter, kind: str) -> tuple[ImageSet, dict[str, Any]]:
    """Both classes' synthetic images, equally many of each."""
    if kind in refining.METHODS:
        return refined_set(chapter, kind, chosen_steps(chapter, kind))
    pool = {"pggan": pools.kept, "undiscarded": pools.undiscarded}[kind]
    return _pooled(kind, {name: pool(chapter, name) for name in CLASSES})


def refined_set(chapter: Chapter, method: str, steps: int) -> tuple[ImageSet, dict[str, Any]]:
    """Both classes' pools, refined after so many steps."""
    runs = {name: refining.refined(chapter, method, name, steps) for name in CLASSES}
    return _pooled(method, runs)


def chosen_steps(chapter: Chapter, method: str) -> int:
    """The refining steps with the highest validation accuracy, the fewest where several have it."""
    candidates = sorted(refining.METHODS[method].steps(chapter.parameters))
    if len(candidates) == 1:
        return candidates[0]
    accuracies = candidate_accuracies(chapter, method)
    return max(candidates, key=lambda steps: (accuracies[steps], -steps))


def candidate_accuracies(chapter: Chapter, method: str) -> dict[int, float]:
    """Validation accuracy by refining steps, of the first seed.

    As in section 4.2.3 the classifier with classic augmentation decides. Differs: it is the one
    from scratch where the arms are, or where there are no ImageNet weights.
    """
    p = chapter.parameters
    training, seed, accuracies = classifying.judging(p), p.seeds[0], {}
    classic, _ = image_sets(chapter, Arm(classic=1))
    setup = arm_setup(f"classic-{method}", training, seed)
    for steps in sorted(refining.METHODS[method].steps(p)):
        refined, made_from = refined_set(chapter, method, steps)
        sets = [*classic, replace(refined, count=p.added_images)]
        run = train_classifier(chapter, setup, sets, made_from, training, seed)
        accuracies[steps] = classifying.answers(run, "validation").accuracy
    return accuracies


def differences_to_baseline(
    runs: Mapping[str, Sequence[Run]], baseline: str = BASELINE
) -> dict[str, dict[str, Difference]]:
    """Each arm's paired difference to the baseline, by arm and measure, over the same seeds.

    Args:
        runs: of one training, by arm, in the same order of seeds.

    Raises:
        PathoganError: no baseline among them, or arms of other seeds or other real images.
    """
    check_paired(runs, baseline)
    held_out = classifying.answers(runs[baseline][0]).held_out
    scores = {arm: _scores(own) for arm, own in runs.items()}
    others = {arm: found for arm, found in scores.items() if arm != baseline}
    return classification.compare(held_out, scores[baseline], others)


def _scores(runs: Sequence[Run]) -> np.ndarray:
    """``[seeds, N]`` of one arm."""
    return np.stack([classifying.answers(run).scores for run in runs])


def _pooled(kind: str, runs: Mapping[str, Run]) -> tuple[ImageSet, dict[str, Any]]:
    """As many images of each class as the smaller pool has, and entries of a record's inputs."""
    images = [pooling.images_of(run) for run in runs.values()]
    count = min(map(len, images))
    both = np.concatenate([part[:count] for part in images])
    made_from = {f"synthetic_{name}": pooling.made_by(run) for name, run in runs.items()}
    return ImageSet(kind, both, labels_of([count] * len(images))), made_from
