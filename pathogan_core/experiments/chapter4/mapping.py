"""t-SNE maps of real and synthetic images, and what is read off them as numbers (thesis 4.2.6)."""

from __future__ import annotations

import time
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pathogan_core.cohorts.slice_classes import CLASSES
from pathogan_core.evaluation import embedding
from pathogan_core.evaluation.embedding import CATEGORIES, Origins
from pathogan_core.evaluation.features import COMMITTED_WEIGHTS
from pathogan_core.experiments import pooling
from pathogan_core.experiments.chapter4 import configurations, measuring
from pathogan_core.experiments.chapter4.data import Chapter
from pathogan_core.experiments.store import Measurement, Outcome, Run, RunSpec
from pathogan_core.files import atomic_write, sha256_of_file
from pathogan_core.training.augmentation import ClassicAugmentation
from pathogan_core.training.batches import to_uint8, to_unit_range
from pathogan_core.training.randomness import generator_for

REVISION = 1  # raise when a change here alters the map of an unchanged configuration
MAP = "map.npz"
ORIGINS = tuple(field.name for field in fields(Origins))
"""Names of the arrays of a map that say where its images come from."""
SOURCES = ("classic", *measuring.STAGES)
"""What is set against the real images, a map each."""
AUGMENTATION = ClassicAugmentation()


def image_map(chapter: Chapter, source: str) -> Run:
    """The map of one of `SOURCES`, with its numbers as metrics.

    Its images are those that classifiers learn from: the real ones are training images.
    """
    p, config = chapter.parameters, configurations.tsne(chapter.parameters)
    runs: dict[str, Run] = {}
    transformation: dict[str, Any] = {}
    if source == "classic":
        transformation["augmentation"] = asdict(AUGMENTATION)
    else:
        runs = {name: measuring.stage(chapter, source, name) for name in CLASSES}
    spec = RunSpec(
        chapter="ch4",
        setup=f"map-{source}",
        method="map",
        revision=REVISION,
        config={
            **asdict(config),
            "source": source,
            "images": p.mapped_images,
            "image_size": p.classifier_size,
            "slice_size": p.slice_size,
            "feature_network": sha256_of_file(COMMITTED_WEIGHTS),
            **transformation,
        },
        inputs={
            "images": chapter.provenance("train"),
            **{f"synthetic_{name}": pooling.made_by(run) for name, run in runs.items()},
        },
        scale=p.scale,
        seed=p.seed,
    )

    def run(folder: Path) -> Outcome:
        started = time.monotonic()
        images, origins = _drawn(chapter, source, runs)
        vectors = embedding.input_vectors(measuring.large_enough(images), "features")
        with atomic_write(folder / MAP) as handle:
            np.savez_compressed(
                handle,
                points=embedding.embed(vectors, config).astype(np.float32),
                vectors=vectors.astype(np.float32),
                images=images,
                **{name: getattr(origins, name) for name in ORIGINS},
            )
        return Outcome(steps=config.iterations, images_seen=0, wall_s=time.monotonic() - started)

    mapped = chapter.store.train_or_load(spec, run)
    how = Measurement({"seed": p.seed, "revision": embedding.REVISION}, _numbers)
    return chapter.store.measured(mapped, how)


def read_map(run: Run) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points ``[N, 2]``, names of their categories ``[N]``, and images uint8 ``[N, S, S]``.

    Raises:
        PathoganError: the map is missing or damaged.
    """
    arrays = run.arrays(MAP, "points", "images", *ORIGINS)
    categories = np.array(CATEGORIES)[_origins(arrays).categories]
    return arrays["points"], categories, arrays["images"]


def _origins(arrays: dict[str, np.ndarray]) -> Origins:
    return Origins(**{name: arrays[name] for name in ORIGINS})


def _numbers(run: Run) -> dict[str, dict[str, Any]]:
    arrays = run.arrays(MAP, "vectors", *ORIGINS)
    vectors, origins = arrays["vectors"].astype(float), _origins(arrays)
    found = embedding.measure_overlap(vectors, origins, seed=run.record.seed)
    return {name: metric.as_json() for name, metric in found.items()}


def _drawn(chapter: Chapter, source: str, runs: dict[str, Run]) -> tuple[np.ndarray, Origins]:
    """Real and synthetic images of both classes, equally many of each where there are."""
    images, fake, tumour, patients = [], [], [], []
    for name in CLASSES:
        real, owners = chapter.classifier_images("train", name), chapter.patients("train", name)
        if source == "classic":  # transformed below, when they have been drawn
            made, made_of = real, owners
        else:
            made = np.array(pooling.images_of(runs[name]))
            made_of = np.full(len(made), "")
        images += [real, made]
        patients += [owners, made_of]
        fake += [np.zeros(len(real), bool), np.ones(len(made), bool)]
        tumour.append(np.full(len(real) + len(made), name == "tumour"))
    everything = Origins(*map(np.concatenate, (fake, tumour, patients)))
    p = chapter.parameters
    rows = embedding.draw(everything, p.mapped_images, seed=p.seed)
    drawn, origins = np.concatenate(images)[rows], everything.take(rows)
    if source == "classic":
        drawn[origins.is_fake] = _transformed(drawn[origins.is_fake], p.seed)
    return drawn, origins


def _transformed(images: np.ndarray, seed: int) -> np.ndarray:
    """Each image classically augmented once."""
    stream = generator_for(seed, "map", "classic")
    uniform = torch.rand(len(images), AUGMENTATION.DRAWS, generator=stream)
    changed = AUGMENTATION(to_unit_range(torch.from_numpy(images))[:, None], uniform)
    return to_uint8(changed)[:, 0].numpy()
