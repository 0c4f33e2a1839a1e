"""When do generated slices help? Some arms with rougher boxes, and with fewer real patients.

The thesis has one set of boxes, whose roughness it does not measure, and one number of patients.
In a simulation both can be chosen.

Roughness changes what is tested, too. An annotator who is rougher draws other boxes in the test
slices and forgets more lesions, so that fewer slices are annotated. It follows:

- *Compare within a value, never across.* An arm and its baseline meet the same slices, boxes and
  seeds; their difference says whether the generated slices helped there. The sensitivities of two
  values are of different slices.
- *The exact boxes are the truth*, by default: the same around a lesion at every value. Rough ones
  would be another target at each, and would count an annotator's habit as a find. Detectors learn
  from rough boxes and validation picks their weights with these; what such boxes cost in overlap
  with exact ones they cost the baseline as well.
- *The slices are those annotated at the value*, as in the thesis; the committed runs hold no
  others. All lesions in them are to be found, also those that were forgotten beside others. What
  is annotated at one roughness is so at every lower one; what drops out are slices of few and
  small lesions, mostly. With ``slices="all"`` runs made here are tested in the same slices at
  every value.

Roughness takes slices out of training as well: the forgotten ones, of detectors and of GANs. With
fewer patients the test is the same at every value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pathogan_core.evaluation.paired import Difference
from pathogan_core.experiments import varying
from pathogan_core.experiments.chapter5.arms import TABLE, differences_to_baseline, train_arms
from pathogan_core.experiments.chapter5.data import Chapter
from pathogan_core.experiments.chapter5.detecting import parts_of_arm_setup
from pathogan_core.experiments.published_table4 import BASELINE
from pathogan_core.experiments.store import Run
from pathogan_core.experiments.varying import Committed, Place, real_patients

STUDY_ROUGHNESS = 1.0
"""Of the study's runs that are no variants: a record does not say how rough its boxes were."""
MEASURES = ("matched_sensitivity", "mean_sensitivity")
"""In which arms are compared here: found boxes at as many false positives as the baseline has at
the thesis' threshold, and at levels of false positives that are the same at every value."""


@dataclass(frozen=True)
class Experiment(varying.Experiment):
    """One parameter that is varied, all else equal.

    Args:
        x: where a value lies on the axis, given the value (None: that of no variant) and a run.
        counted: the axis counts something; otherwise it is a setting that may be 0.
    """

    x: Callable[[float | None, Run], float]
    counted: bool


EXPERIMENTS = {
    "roughness": Experiment(
        "roughness", "vary_roughness", "rough", "roughness of the boxes",
        lambda value, _: STUDY_ROUGHNESS if value is None else value, counted=False,
    ),
    "patients": Experiment(
        "train_patients", "vary_patients", "patients", "real patients",
        lambda _, run: real_patients(run), counted=True,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Gain:
    """An arm minus the baseline at one value.

    Args:
        x: where the value lies on the experiment's axis.
        differences: by measure.
    """

    arm: str
    x: float
    differences: Mapping[str, Difference]


def vary(chapter: Chapter, experiment: Experiment) -> dict[float, Place]:
    """The arms `vary_arms` at each of the experiment's values: found, resumed or trained.

    GANs get `gan_images` at every value, so that with fewer patients they see each slice more
    often; the study's variants lower it with the patients instead.

    Returns:
        By place on the axis, ascending.

    Raises:
        PathoganError: the baseline is not among the arms, or a value is impossible.
    """
    varied = varying.at_each_value(chapter.parameters, experiment, BASELINE)
    places = {
        value: train_arms(Chapter.open(p, progress=chapter.progress)) for value, p in varied.items()
    }
    return _on_axis(experiment, places)


def committed_places(study: Mapping[str, Run], experiment: Experiment) -> dict[float, Place]:
    """The same of committed runs: the experiment's variants and, with these arms, those of none.

    Args:
        study: by set-up, as `committed.committed_runs` gives them.
    """
    committed = Committed(study, parts_of_arm_setup, tuple(TABLE), BASELINE)
    return _on_axis(experiment, committed.places(experiment))


def gains(
    places: Mapping[float, Place],
    *,
    iou: float = 0.5,
    slices: str = "annotated",
    truth: str = "exact",
) -> list[Gain]:
    """What each arm gains over the baseline at each value: paired differences within the value.

    Args:
        places: of `vary` or `committed_places`.
        iou, slices, truth: as of `arms.differences_to_baseline`.
    """
    return [
        Gain(arm, x, found)
        for x, place in places.items()
        for arm, found in differences_to_baseline(
            place, iou=iou, slices=slices, truth=truth
        ).items()
    ]


def _on_axis(
    experiment: Experiment, places: Mapping[float, Place] | Mapping[float | None, Place]
) -> dict[float, Place]:
    """By place on the axis, ascending."""
    found = {experiment.x(value, place[BASELINE][0]): place for value, place in places.items()}
    return dict(sorted(found.items()))
