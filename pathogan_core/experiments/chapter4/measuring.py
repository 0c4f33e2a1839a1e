"""How near each stage's images are to real ones: PGGAN's, MUNIT's and SimGAN's (thesis 4.2.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pathogan_core.cohorts.slices import fit_frame
from pathogan_core.experiments import pooling
from pathogan_core.experiments.chapter4 import arms, pools, refining
from pathogan_core.experiments.chapter4.data import Chapter
from pathogan_core.experiments.distances import distribution_measurement
from pathogan_core.experiments.store import Measurement, Run

STAGES = ("pggan", *refining.METHODS)
SMALLEST = 64
"""Pixels that the feature network needs; smaller images get a rim of zeros, real ones too."""


def stage(chapter: Chapter, kind: str, name: str) -> Run:
    """A class's images of one stage, as the arms use them; measured on test patients.

    Args:
        kind: of `STAGES`.
    """
    if kind == "pggan":
        pool = pools.kept(chapter, name)
    else:
        pool = refining.refined(chapter, kind, name, arms.chosen_steps(chapter, kind))
    how = _measurement(chapter, name, pool)
    return chapter.store.measured(pool, how) if how else pool


def stages(chapter: Chapter, name: str) -> Mapping[str, Run]:
    """Every stage's run, by kind."""
    return {kind: stage(chapter, kind, name) for kind in STAGES}


def _measurement(chapter: Chapter, name: str, pool: Run) -> Measurement | None:
    generated = pooling.images_of(pool)[: chapter.parameters.measured_images]

    def sides(_: Run) -> dict[str, Any]:
        return {
            "fake": large_enough(np.array(generated)),
            "real_train": large_enough(chapter.classifier_images("train", name)),
            "real_held_out": large_enough(chapter.classifier_images("test", name)),
            "patients_train": chapter.patients("train", name),
            "patients_held_out": chapter.patients("test", name),
        }

    held_out, seed = chapter.provenance("test", name), chapter.parameters.seed
    return distribution_measurement(held_out, len(generated), seed, sides)


def large_enough(images: np.ndarray) -> np.ndarray:
    """For the feature network: with a rim of zeros where they are smaller than `SMALLEST`."""
    return fit_frame(images, max(SMALLEST, images.shape[1]))
