"""A prepared folder of six patients, a normal subject, and the smallest networks: chapter 5."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pathogan_core.cohorts.cases import TISSUES, LoadedCase
from pathogan_core.cohorts.prepare import CohortSource, prepare
from pathogan_core.cohorts.prepare_parameters import PreparationParameters
from pathogan_core.experiments.chapter5.data import Chapter
from pathogan_core.experiments.chapter5.parameters import Parameters

SIZE, SLICES = 32, 8
SPLITS = {
    "ada": "train", "ben": "train", "cyd": "train", "eva": "validation", "gil": "test",
    "hal": "test", "nora": "train",
}  # fmt: skip
NORMAL_SUBJECT = "nora"
LESION_SLICES = range(1, 6)
"""Slices of a patient that cross both lesions; the others are free of them."""

TINY = Parameters(
    image_size=SIZE,
    gan_width=4,
    gan_latent=4,
    gan_images=96,
    stable_images=8,
    fade_images=8,
    i2i_width=4,
    asked_images=8,
    pool_images=24,
    added_images=8,
    arms=("real", "cpggan-4k"),
    detector_width=0.0625,
    detector_depth=0.1,
    detector_steps=4,
    detector_sizes=(32,),
    detector_test_size=32,
    detector_batch=2,
    detector_candidates=10,
    select_from=2,
    validate_every=2,
)


@dataclass(frozen=True)
class Subject:
    """A grey disc with two bright squares in some slices; see `cohorts.cases.Case`."""

    patient: str

    @property
    def scan(self) -> str:
        return self.patient

    @property
    def grade(self) -> str:
        return "normal" if self.patient == NORMAL_SUBJECT else "metastases"

    def load(self) -> LoadedCase:
        rng = np.random.default_rng(list(self.patient.encode()))
        y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2 + 0.5
        brain = (x**2 + y**2 < 14**2) * np.ones((SLICES, 1, 1))
        volume = brain * rng.integers(300, 500, (SLICES, SIZE, SIZE))
        lesion = np.zeros(volume.shape, bool)
        if self.grade == "metastases":
            for left in (7, 18):
                top = rng.integers(8, 18)
                width, height = rng.integers(4, 7, 2)
                within = slice(LESION_SLICES.start, LESION_SLICES.stop)
                lesion[within, top : top + height, left : left + width] = True
        volume[lesion] = 900
        tissues = {name: lesion & (name == "enhancing") for name in TISSUES}
        return LoadedCase({"t1c": volume.astype(np.int16)}, tissues, (1.0, 1.0, 1.0))

    def content_hash(self) -> str:
        return f"tiny-{self.patient}"


def write_prepared(folder: Path) -> Path:
    """Axial slices of 32 px as `cohorts.prepare` leaves them."""
    parameters = PreparationParameters.section5(
        first_slice=0, last_slice=SLICES - 1, sizes=(SIZE,), frame=SIZE,
        volume_shape=(SLICES, SIZE, SIZE),
    )  # fmt: skip
    source = CohortSource("tiny", "0" * 64, {"cohort": "tiny"})
    prepare([Subject(name) for name in SPLITS], folder, source, parameters, splits=SPLITS)
    return folder


def changed(chapter: Chapter, **changes: Any) -> Chapter:
    """The chapter with other parameters, on the same slices."""
    return Chapter.open(replace(chapter.parameters, **changes))
