"""A prepared folder of eight patients and the smallest networks: chapter 4 within seconds."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pathogan_core.cohorts.prepared import INFO, TABLE, array_files, content_sha256
from pathogan_core.cohorts.slices import resize_area
from pathogan_core.errors import PathoganError
from pathogan_core.experiments.chapter4.data import Chapter
from pathogan_core.experiments.chapter4.parameters import Parameters
from pathogan_core.training.loop import Clock, LoopOptions
from pathogan_core.training.phases import Program

SIZE, TWICE = 60, 120
PATIENTS = {
    **dict.fromkeys(("ada", "ben", "cyd", "dov"), "train"),
    **dict.fromkeys(("eva", "fay"), "validation"),
    **dict.fromkeys(("gil", "hal"), "test"),
}
TUMOUR, OEDEMA, NON_TUMOUR = 5, 1, 6
"""A patient's slices of each kind; one with nothing but oedema is in neither class."""

TINY = Parameters(
    pggan_width=4,
    pggan_latent=4,
    pggan_batches=(4,),
    pggan_images=80,
    stable_images=8,
    fade_images=8,
    pool_images=24,
    clusters=3,
    components=3,
    refiner_images=8,
    munit_steps=(1,),
    munit_width=2,
    simgan_steps=(1,),
    simgan_width=2,
    simgan_batch=2,
    simgan_refiner_warmup=1,
    simgan_discriminator_warmup=1,
    simgan_history=4,
    added_images=20,
    classifier_batch=8,
    epochs=1,
    epoch_steps=2,
    measured_images=20,
)


def write_prepared(folder: Path) -> Path:
    """Axial T1c slices of 120 and 60 px as `cohorts.prepare` leaves them, rows in no order."""
    table, images = [], []
    rng = np.random.default_rng(0)
    for patient, split in PATIENTS.items():
        kinds = ["tumour"] * TUMOUR + ["oedema"] * OEDEMA + ["none"] * NON_TUMOUR
        brain = _disc(60, 60, rng.integers(40, 56)) * rng.integers(60, 120)
        for number, kind in enumerate(kinds, start=30):
            image = brain * rng.uniform(0.7, 1, (TWICE, TWICE))
            if kind == "tumour":
                image[_disc(*rng.integers(40, 80, 2), 12)] = 230
            images.append(image.round().astype(np.uint8))
            voxels = {"enhancing": 100 * (kind == "tumour"), "oedema": 60 * (kind == "oedema")}
            tissues = ("necrosis", "oedema", "non_enhancing", "enhancing")
            table.append(
                {
                    "scan": f"{patient}_1", "patient": patient, "grade": "HGG", "slice": number,
                    "split": split, "brain_fraction": float((image > 0).mean()),
                    **{f"{tissue}_voxels": voxels.get(tissue, 0) for tissue in tissues},
                }
            )  # fmt: skip
    order = rng.permutation(len(table))
    return write_folder(folder, pd.DataFrame(table).iloc[order], np.stack(images)[order])


def write_folder(folder: Path, table: pd.DataFrame, images: np.ndarray) -> Path:
    """A prepared folder of these rows and their images, uint8 ``[N, 120, 120]``."""
    folder.mkdir(parents=True)
    table = table.reset_index(drop=True)
    np.save(folder / f"t1c_{TWICE}.npy", images)
    np.save(folder / f"t1c_{SIZE}.npy", resize_area(images, SIZE).round().astype(np.uint8))
    table.to_parquet(folder / TABLE)
    content = content_sha256(array_files(folder, [TWICE, SIZE], ["t1c"]), table)
    info = {
        "cohort": "tiny", "source": "simulated", "manifest_sha256": "0" * 64,
        "fingerprint": content, "content_sha256": content,
        "patients": table["patient"].nunique(), "scans": table["scan"].nunique(),
        "slices": len(table), "parameters": {"sizes": [TWICE, SIZE], "sequences": ["t1c"]},
    }  # fmt: skip
    (folder / INFO).write_text(json.dumps(info), encoding="utf-8")
    return folder


def _disc(row: float, column: float, radius: float) -> np.ndarray:
    y, x = np.mgrid[:TWICE, :TWICE]
    return (y - row) ** 2 + (x - column) ** 2 <= radius**2


def changed(chapter: Chapter, **changes: Any) -> Chapter:
    """The chapter with other parameters, on the same slices."""
    return Chapter.open(replace(chapter.parameters, **changes))


def origins(folder: Path) -> dict[bytes, pd.Series]:
    """The table's row of each image of 60 px of a prepared folder, by the image's bytes."""
    images, table = np.load(folder / f"t1c_{SIZE}.npy"), pd.read_parquet(folder / TABLE)
    return {image.tobytes(): row for image, (_, row) in zip(images, table.iterrows(), strict=True)}


def told(error: pytest.ExceptionInfo[PathoganError]) -> str:
    """The message, which has to be one line."""
    line = str(error.value)
    assert "\n" not in line
    return line


def stopped_by_signal(train: Callable[..., Clock], step: int) -> Callable[..., Clock]:
    """The loop with a SIGTERM at a tick, as a batch system ends a job: its state is saved."""

    def stopped(*given: Any, options: LoopOptions, **named: Any) -> Clock:
        def tick(clock: Clock, line: dict[str, Any]) -> None:
            if options.on_tick:
                options.on_tick(clock, line)
            if clock.step == step:
                os.kill(os.getpid(), signal.SIGTERM)

        return train(*given, options=replace(options, on_tick=tick), **named)

    return stopped


def counted(monkeypatch: pytest.MonkeyPatch, *places: ModuleType) -> list[str]:
    """The folders in which the loop of these modules is started from now on, by name."""
    started: list[str] = []
    for place in places:

        def train(program: Program, folder: Path, _loop: Any = place.train, **named: Any) -> Clock:
            started.append(folder.name)
            return _loop(program, folder, **named)

        monkeypatch.setattr(place, "train", train)
    return started
