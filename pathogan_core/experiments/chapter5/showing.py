"""What the arms' detectors find in the same test slices, beside the truth (thesis figure 15)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pathogan_core.evaluation import detection
from pathogan_core.experiments.chapter5.answering import Answers, answers
from pathogan_core.experiments.chapter5.data import Chapter
from pathogan_core.experiments.published_table4 import BASELINE
from pathogan_core.experiments.store import Run

SLICES = "slices.png"
"""Of a committed baseline: the test slices of `spread_images`."""
SPREAD = 64
IOU = 0.25


@dataclass(frozen=True, eq=False)
class Shown:
    """One arm in some of the annotated test slices, boxes ``[n, 4]`` in pixels for each.

    Args:
        found: its detections.
        only_here: rough boxes that it finds and the baseline does not.
    """

    found: list[np.ndarray]
    only_here: list[np.ndarray]


def spread(count: int) -> np.ndarray:
    """`SPREAD` numbers at most of `count` annotated test slices, evenly spaced, ascending."""
    return np.unique(np.linspace(0, count - 1, SPREAD).round().astype(int))


def spread_images(chapter: Chapter) -> np.ndarray:
    """These slices, uint8 ``[n, S, S]``."""
    images = chapter.slices("test").images
    return images[spread(len(images))]


def truth_in_spread(run: Run) -> list[np.ndarray]:
    """The rough boxes in each of them."""
    given = answers(run).among("annotated")
    truth = given.truths["rough"]
    return _by_slice(truth.boxes, truth.images, given)


def shown(runs: Mapping[str, Run], fps: float) -> dict[str, Shown]:
    """Each arm at the score at which it has at most `fps` false positives per slice.

    At one score for all, an arm that reports more would seem to find more.

    Args:
        runs: by arm, of one seed; the baseline is one of them.
        fps: per annotated test slice, against rough boxes at an IoU of 0.25.
    """
    given = {arm: answers(run).among("annotated") for arm, run in runs.items()}
    outcomes = {arm: one.outcomes("rough") for arm, one in given.items()}
    scores = {
        arm: score if (score := detection.froc(one, IOU).at(fps).score) is not None else np.inf
        for arm, one in outcomes.items()
    }
    hits = {arm: one.found(IOU, scores[arm]) for arm, one in outcomes.items()}
    result = {}
    for arm, one in given.items():
        reported = one.found.scores >= scores[arm]
        gained = hits[arm] & ~hits[BASELINE]
        truth = one.truths["rough"]
        result[arm] = Shown(
            _by_slice(one.found.boxes[reported], one.found.images[reported], one),
            _by_slice(truth.boxes[gained], truth.images[gained], one),
        )
    return result


def _by_slice(boxes: np.ndarray, images: np.ndarray, given: Answers) -> list[np.ndarray]:
    return [boxes[images == number] for number in spread(len(given.patients))]
