"""How near each stage's images are to real ones: PGGAN's, MUNIT's and SimGAN's (thesis 4.2.5)."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np

from pathogan_core.cohorts.slices import fit_frame
from pathogan_core.experiments.chapter4 import arms, pools, refining
from pathogan_core.experiments.chapter4.data import Chapter
from pathogan_core.experiments.store import Measurement, Run
from pathogan_core.files import sha256_of_file

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
    """Distribution measures; None on a bare GPU server without torch-fidelity."""
    if find_spec("torch_fidelity") is None:
        return None
    from pathogan_core.evaluation import fidelity
    from pathogan_core.evaluation.features import COMMITTED_WEIGHTS

    seed = chapter.parameters.seed
    generated = pools.images_of(pool)[: chapter.parameters.measured_images]

    def measure(_: Run) -> dict[str, dict[str, Any]]:
        found = fidelity.measure(
            large_enough(np.array(generated)),
            large_enough(chapter.classifier_images("train", name)),
            large_enough(chapter.classifier_images("test", name)),
            patients_train=chapter.patients("train", name),
            patients_held_out=chapter.patients("test", name),
            seed=seed,
        )
        return {key: metric.as_json() for key, metric in found.items()}

    measured_with = {
        "held_out": chapter.provenance("test", name),
        "feature_network": sha256_of_file(COMMITTED_WEIGHTS),
        "generated": len(generated),
        "seed": seed,
        "revision": fidelity.REVISION,
    }
    return Measurement(measured_with, measure)


def large_enough(images: np.ndarray) -> np.ndarray:
    """For the feature network: with a rim of zeros where they are smaller than `SMALLEST`."""
    return fit_frame(images, max(SMALLEST, images.shape[1]))
