"""Study runs of chapter 3: one DCGAN or WGAN, measured, with sheets of its images."""

from __future__ import annotations

from typing import Any

import numpy as np

from pathogan_core.cohorts.prepared import PreparedSlices
from pathogan_core.evaluation.exemplars import closest_pairs, least_like_training
from pathogan_core.experiments import chapter3
from pathogan_core.experiments.store import Run
from pathogan_core.figures.images import contact_sheet

PARAMETERS = "ch3_brain_mri_wgan.study.yaml"
SAMPLES, SHOWN, COLUMNS = 64, 16, 8


def study(setup: str, parameters: dict[str, Any]) -> tuple[Run, dict[str, bytes]]:
    """Train (or find, or resume) and measure ``<model>-<sequence>-<size>``.

    Returns:
        The run, and sheets of its images by file name.
    """
    model, sequence, size = setup.split("-")
    parameters |= {"sequence": sequence, "size": int(size)}
    p = chapter3.Parameters.from_notebook(parameters)
    slices = chapter3.prepared_slices(p)
    run = chapter3.train_model(p, model, slices, progress=True)
    return run, sheets(run, p, slices)


def sheets(run: Run, parameters: chapter3.Parameters, slices: PreparedSlices) -> dict[str, bytes]:
    """Samples as they come; the worst of many; the most suspicious, each above its training image.

    The last two are chosen from the images that were measured.
    """
    wanted = (parameters.sequence, parameters.size, parameters.split)
    train, patients = slices.images(*wanted), slices.patients_of(wanted[0], wanted[2])
    many = chapter3.generated(run, parameters.measured_images, chapter3.MEASURED_SEED)
    pairs = closest_pairs(many, train, patients, COLUMNS)
    chosen = {
        "samples.png": chapter3.generated(run, SAMPLES),
        "worst.png": least_like_training(many, train, SHOWN),
        "closest.png": np.concatenate(pairs),
    }
    return {name: contact_sheet(images, COLUMNS) for name, images in chosen.items()}
