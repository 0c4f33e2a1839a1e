"""Study runs of chapter 4: PGGANs, what is discarded, refiners, stages and classifiers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pathogan_core.evaluation.discarding import exemplars
from pathogan_core.experiments import growing, pooling
from pathogan_core.experiments.chapter4 import (
    arms,
    drawing,
    mapping,
    measuring,
    pools,
    refining,
    reporting,
)
from pathogan_core.experiments.chapter4.classifying import SCORES, parts_of_arm_setup
from pathogan_core.experiments.chapter4.data import Chapter
from pathogan_core.experiments.chapter4.parameters import Parameters
from pathogan_core.experiments.store import Run
from pathogan_core.figures.images import contact_sheet

PARAMETERS = "ch4_pggan_munit.study.yaml"
SAMPLES, COLUMNS, STAGES = 64, 8, 18
"""Images of a sheet, in its rows, and moments of growth that are kept."""

Files = dict[str, bytes]


def study(setup: str, parameters: dict[str, Any]) -> tuple[Run, Files]:
    """Make (or find, or resume) what `setup` names, with all that it rests on.

    Returns:
        The run, and what else of it is committed, by file name.
    """
    kind, rest = setup.split("-", 1)
    chapter = Chapter.open(Parameters.from_notebook(parameters), progress=True)
    return STUDIES[kind](chapter, kind, rest)


def _pggan(chapter: Chapter, kind: str, rest: str) -> tuple[Run, Files]:
    """``pggan-<class>-<size>``: samples, and the same eight latents while it grew."""
    run = drawing.train_pggan(chapter, rest.rsplit("-", 1)[0])
    files = {"samples.png": contact_sheet(drawing.draw(run, SAMPLES, seed=0), COLUMNS)}
    growth = drawing.pggan_config_of(run).growth
    files[growing.GROWTH] = growing.chosen_previews(run, growth, STAGES)
    return run, files


def _discarding(chapter: Chapter, kind: str, name: str) -> tuple[Run, Files]:
    """``discarding-<class>``: every cluster as a row of images, nearest to the real ones first."""
    run = pools.discarded(chapter, name)
    images = pooling.images_of(pools.drawn(chapter, name))
    rows = [_row(images[chosen]) for chosen in exemplars(pools.clusters_of(run), COLUMNS)]
    sheet = contact_sheet(np.concatenate(rows), COLUMNS)
    clusters = (run.folder / pools.CLUSTERS).read_bytes()
    return run, {"clusters.png": sheet, pools.CLUSTERS: clusters}


def _refiner(chapter: Chapter, method: str, rest: str) -> tuple[Run, Files]:
    """``<method>-<class>-<size>``."""
    return refining.train_refiner(chapter, method, rest.rsplit("-", 1)[0]), {}


def _stage(chapter: Chapter, kind: str, rest: str) -> tuple[Run, Files]:
    """``stage-<pggan, munit or simgan>-<class>``: the images that the arms use, measured.

    Image i of every sheet is the same image, refined or not.
    """
    stage, name = rest.split("-", 1)
    run = measuring.stage(chapter, stage, name)
    images = np.array(pooling.images_of(run)[:SAMPLES])
    files = {"samples.png": contact_sheet(images, COLUMNS)}
    if stage == "pggan":
        nearest = reporting.nearest_real(chapter, name, images[: 2 * COLUMNS])
        files["nearest.png"] = contact_sheet(nearest, COLUMNS)
    return run, files


def _map(chapter: Chapter, kind: str, source: str) -> tuple[Run, Files]:
    """``map-<classic, pggan, munit or simgan>``."""
    run = mapping.image_map(chapter, source)
    return run, {mapping.MAP: (run.folder / mapping.MAP).read_bytes()}


def _arm(chapter: Chapter, kind: str, rest: str) -> tuple[Run, Files]:
    """``arm-<arm>-<training>-seed<seed>``: what the classifier says of every held-out image."""
    parts = parts_of_arm_setup(f"{kind}-{rest}")
    assert parts, rest
    run = arms.train_arm(chapter, *parts)
    return run, {SCORES: (run.folder / SCORES).read_bytes()}


def _row(images: np.ndarray) -> np.ndarray:
    """Filled up with black where a cluster has fewer images than a row."""
    missing = COLUMNS - len(images)
    return np.concatenate([images, np.zeros((missing, *images.shape[1:]), np.uint8)])


STUDIES: dict[str, Callable[[Chapter, str, str], tuple[Run, Files]]] = {
    "pggan": _pggan,
    "discarding": _discarding,
    "munit": _refiner,
    "simgan": _refiner,
    "stage": _stage,
    "map": _map,
    "arm": _arm,
}
