"""A t-SNE map of lesions, real and of each GAN, and how far they overlap.

Not in the thesis. Its first publication maps lesions of 32 px by their grey levels from 0 to 1, 500
of each origin, with perplexity 100 over 1,000 iterations.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pathogan_core.evaluation import embedding
from pathogan_core.evaluation.embedding import Origins
from pathogan_core.experiments.chapter5 import configurations, lesions, placing, reporting
from pathogan_core.experiments.chapter5.data import Chapter
from pathogan_core.experiments.chapter5.lesions import Lesions
from pathogan_core.experiments.pooling import made_by
from pathogan_core.experiments.store import Measurement, Outcome, Run, RunSpec
from pathogan_core.files import atomic_write

REVISION = 1  # raise when a change here alters the map of an unchanged configuration
SETUP = "map-lesions"
MAP = "map.npz"
REAL = "real"


def lesion_map(chapter: Chapter) -> Run:
    """The map of real training lesions and each GAN's, with its numbers as metrics.

    They are `embedding.measure_overlap`'s for each GAN beside the real lesions, as
    ``<gan>/<name>``: real lesions are compared with other patients' only.
    """
    p, config = chapter.parameters, configurations.tsne(chapter.parameters)
    runs = {gan: placing.train_gan(chapter, gan) for gan in p.gans}
    spec = RunSpec(
        chapter="ch5",
        setup=SETUP,
        method="map",
        revision=REVISION,
        config={
            **asdict(config),
            "images": p.mapped_images,
            "side": reporting.LESION_SIDE,
            "darkest": lesions.DARKEST,
            "shift": p.shift,
            "zoom": p.zoom,
            "least_left": p.least_left,
        },
        inputs={
            "images": chapter.provenance("train"),
            **{gan: made_by(run) for gan, run in runs.items()},
        },
        scale=p.scale,
        seed=p.seed,
    )

    def run(folder: Path) -> Outcome:
        started = time.monotonic()
        mapped = mapped_lesions(chapter, runs)
        images = np.concatenate([some.images for some in mapped.values()])
        points = embedding.embed(embedding.input_vectors(images, "pixels"), config)
        with atomic_write(folder / MAP) as handle:
            np.savez_compressed(
                handle,
                points=points.astype(np.float32),
                images=images,
                sources=np.repeat([*mapped], [len(some.images) for some in mapped.values()]),
                patients=np.concatenate([some.patients for some in mapped.values()]),
            )
        return Outcome(steps=config.iterations, images_seen=0, wall_s=time.monotonic() - started)

    made = chapter.store.train_or_load(spec, run)
    how = Measurement({"seed": p.seed, "revision": embedding.REVISION}, _numbers)
    return chapter.store.measured(made, how)


def mapped_lesions(chapter: Chapter, runs: Mapping[str, Run]) -> dict[str, Lesions]:
    """The lesions of a map: `REAL` ones and, by its name, those of each GAN.

    At most `mapped_images` of each; of real ones, patients give equally many as far as they can.
    """
    p = chapter.parameters
    real = lesions.real_lesions(chapter.training)
    rows = embedding.draw(_origins(real.patients, fake=False), p.mapped_images, seed=p.seed)
    mapped = {REAL: Lesions(real.images[rows], real.patients[rows])}
    for gan, run in runs.items():
        mapped[gan] = lesions.synthetic_lesions(chapter, run, p.mapped_images)
    return mapped


def read_map(run: Run) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points ``[N, 2]``, where each is from ``[N]``, and images uint8 ``[N, side, side]``.

    Where from is `REAL` or a name of `parameters.GANS`.

    Raises:
        PathoganError: the map is missing or damaged.
    """
    arrays = run.arrays(MAP, "points", "sources", "images")
    return arrays["points"], arrays["sources"], arrays["images"]


def _numbers(run: Run) -> dict[str, dict[str, Any]]:
    arrays = run.arrays(MAP, "images", "sources", "patients")
    vectors = embedding.input_vectors(arrays["images"], "pixels")
    sources, metrics = arrays["sources"], dict[str, dict[str, Any]]()
    for gan in dict.fromkeys(sources[sources != REAL].tolist()):
        rows = np.flatnonzero((sources == REAL) | (sources == gan))
        found = embedding.measure_overlap(
            vectors[rows],
            _origins(arrays["patients"][rows], fake=sources[rows] == gan),
            per_category=len(rows),
            seed=run.record.seed,
        )
        metrics |= {f"{gan}/{name}": metric.as_json() for name, metric in found.items()}
    return metrics


def _origins(patients: np.ndarray, fake: np.ndarray | bool) -> Origins:
    """Of lesions, which all are of one class."""
    is_fake = np.broadcast_to(np.asarray(fake, bool), patients.shape)
    return Origins(is_fake, np.ones(len(patients), bool), patients)
