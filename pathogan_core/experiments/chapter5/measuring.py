"""How good a GAN's boxed slices are, beside real ones (thesis 5.3.1).

Whether lesions lie where they are asked for and what shape they have, what shines elsewhere, and
how near the slices are to those of test patients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from pathogan_core.cohorts.prepared_lesions import lesion_masks
from pathogan_core.cohorts.slices import fit_frame
from pathogan_core.evaluation import box_profiles, placement, spurious
from pathogan_core.evaluation.features import INPUT_SIZE
from pathogan_core.evaluation.metric import Metric
from pathogan_core.experiments.chapter5 import placing
from pathogan_core.experiments.chapter5.data import SEQUENCE, Chapter
from pathogan_core.experiments.distances import distribution_measurement
from pathogan_core.experiments.store import Measurement, Run

FEWEST = 10
"""Images of a side below which no distance is measured, as `evaluation.fidelity` refuses it."""


def measured(chapter: Chapter, gan: str) -> Run:
    """A GAN with all that is measured of it in its record's metrics."""
    run = placing.train_gan(chapter, gan)
    p = chapter.parameters

    @cache
    def generated() -> tuple[np.ndarray, list[np.ndarray]]:
        boxes, _ = placing.asked(chapter, p.asked_images)
        return placing.fill(run, boxes, p.seed), boxes

    distances = _distances(chapter, generated)

    def measure(run: Run) -> dict[str, dict[str, Any]]:
        images, boxes = generated()
        rings = box_profiles.box_rings(images, boxes)
        found = as_json(
            placement.placement(images, boxes, seed=p.seed)
            | box_profiles.profile(rings, np.arange(len(images)), "images", seed=p.seed)
            | _spurious(chapter, images, boxes)
        )
        return found | (distances.measure(run) if distances else {})

    measured_with = {
        "generated": p.asked_images,
        "boxes": {"shift": p.shift, "zoom": p.zoom, "least_left": p.least_left},
        "seed": p.seed,
        "revision": placement.REVISION,
        "profile": {"revision": box_profiles.REVISION},
        "spots": {"revision": spurious.REVISION, **spurious.RULE.as_json()},
        **({"fidelity": distances.measured_with} if distances else {}),
    }
    return chapter.store.measured(run, Measurement(measured_with, measure))


def _spurious(chapter: Chapter, images: np.ndarray, boxes: list[np.ndarray]) -> dict[str, Metric]:
    """What shines outside the boxes, beside training slices of patients and normal subjects."""
    real = chapter.training
    # Annotators forget some lesions, so that exact boxes are left out too.
    lesions = [np.concatenate(both) for both in zip(real.rough, real.exact, strict=True)]
    references = {"patients": spurious.RealSlices(real.images, lesions, real.patients)}
    normal = chapter.normal_images()
    if len(normal):
        none, names = (
            [np.empty((0, 4))] * len(normal),
            chapter.normal.patients_of(SEQUENCE, "train"),
        )
        references["normal"] = spurious.RealSlices(normal, none, names)
    threshold = spurious.threshold_of(spurious.lesion_strengths(real.images, real.exact))
    if threshold is None:
        return {}
    found = spurious.spurious(
        images, boxes, references, threshold.value, seed=chapter.parameters.seed
    )
    return {"spot_threshold": threshold, **found}


def _distances(
    chapter: Chapter, generated: Callable[[], tuple[np.ndarray, list[np.ndarray]]]
) -> Measurement | None:
    """Of generated slices from those of test patients; None where there are too few of either."""
    p, held_out = chapter.parameters, chapter.provenance("test")
    if min(p.asked_images, held_out["images"]) < FEWEST:
        return None

    def sides(_: Run) -> dict[str, Any]:
        train, test = chapter.training, chapter.slices("test")
        return {
            "fake": _large_enough(generated()[0]),
            "real_train": _large_enough(train.images),
            "real_held_out": _large_enough(test.images),
            "patients_train": train.patients,
            "patients_held_out": test.patients,
        }

    return distribution_measurement(held_out, p.asked_images, p.seed, sides)


def _large_enough(images: np.ndarray) -> np.ndarray:
    """With a rim of zeros where they are smaller than the feature network's input."""
    return fit_frame(images, max(INPUT_SIZE, images.shape[1]))


def of_real(chapter: Chapter) -> dict[str, dict[str, Any]]:
    """The same of the boxes of real training slices: what there is to reach, and the known truth.

    The contrast and the profile of rough boxes, and what the exact lesions are beside them
    (`box_profiles.lesion_truth`). Intervals of the profile are over patients.
    """
    real, seed = chapter.training, chapter.parameters.seed
    masks = lesion_masks(chapter.annotated, chapter.parameters.image_size, "train")
    rings = box_profiles.box_rings(real.images, real.rough)
    return as_json(
        placement.placement(real.images, real.rough, seed=seed)
        | box_profiles.profile(rings, real.patients, "patients", seed=seed)
        | box_profiles.lesion_truth(real.images, real.rough, masks, real.patients, seed=seed)
    )


def as_json(metrics: Mapping[str, Metric]) -> dict[str, dict[str, Any]]:
    """As a record holds them."""
    return {name: metric.as_json() for name, metric in metrics.items()}
