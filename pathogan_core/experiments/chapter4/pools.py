"""Synthetic images of a class, stored once for all arms that use them, and which to discard.

About a quarter of PGGAN's images are no good, says section 4.3.1; an arm of Table 2 is "w/o
clustering/discarding", and no more is said of it. A pool is a run whose result is a file of images.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pathogan_core.cad.resnet50 import features
from pathogan_core.evaluation import discarding
from pathogan_core.evaluation.discarding import Discarding
from pathogan_core.evaluation.metric import proportion
from pathogan_core.experiments.chapter4 import configurations
from pathogan_core.experiments.chapter4.classifying import judging, load_classifier, real_only
from pathogan_core.experiments.chapter4.data import Chapter
from pathogan_core.experiments.chapter4.drawing import load_generator, train_pggan
from pathogan_core.experiments.pooling import AT_ONCE, images_of, made_by, storing
from pathogan_core.experiments.store import Measurement, Outcome, Run, RunSpec
from pathogan_core.gans import pggan, sampling
from pathogan_core.training.batches import to_uint8
from pathogan_core.training.checkpoint import save_tensors

REVISION = DISCARDING_REVISION = (
    1  # raise when a change here alters the images of an unchanged configuration
)
CLUSTERS = "clusters.safetensors"


def drawn(chapter: Chapter, name: str) -> Run:
    """A class's pool as its PGGAN draws it, before anything is discarded."""
    p, source = chapter.parameters, train_pggan(chapter, name)
    spec = RunSpec(
        chapter="ch4",
        setup=f"pool-pggan-{name}",
        method="pool",
        revision=REVISION,
        config={"of": "pggan", "images": p.pool_images},
        inputs={"generator": made_by(source)},
        scale=p.scale,
        seed=p.seed,
    )
    side, latent = source.record.config["image_size"], source.record.config["latent"]

    def parts() -> Iterator[np.ndarray]:
        generator = load_generator(source).to(chapter.device)
        stream = sampling.latent_stream(p.seed)
        for start in range(0, p.pool_images, AT_ONCE):
            count = min(AT_ONCE, p.pool_images - start)
            latents = torch.from_numpy(stream.standard_normal((count, latent), np.float32))
            yield to_uint8(pggan.draw(generator, latents))[:, 0].numpy()

    return chapter.store.train_or_load(spec, storing(parts, (p.pool_images, side, side)))


def discarded(chapter: Chapter, name: str) -> Run:
    """Which clusters of a class's pool are odd, in the eyes of the classifier of real images.

    The thesis does not name its features. The baseline's have to do with tumours, and need no
    weights from elsewhere.
    """
    p, pool = chapter.parameters, drawn(chapter, name)
    judge = real_only(chapter, judging(p), p.seeds[0])
    config = configurations.discarding(p, name)
    spec = RunSpec(
        chapter="ch4",
        setup=f"discarding-{name}",
        method="discarding",
        revision=DISCARDING_REVISION,
        config={**asdict(config), "crop_first": p.crop_first, "image_size": p.classifier_size},
        inputs={
            "images": chapter.provenance("train", name),
            "synthetic": made_by(pool),
            "features": made_by(judge),
        },
        scale=p.scale,
        seed=p.seed,
    )

    def run(folder: Path) -> Outcome:
        started = time.monotonic()
        network = load_classifier(judge).to(chapter.device)
        result = discarding.discard_odd(
            fake=features(network, chapter.for_classifier(images_of(pool))),
            real=features(network, chapter.classifier_images("train", name)),
            patients=chapter.patients("train", name),
            config=config,
        )
        tensors = {key: torch.from_numpy(np.asarray(value)) for key, value in vars(result).items()}
        tensors["odd"] = tensors["odd"].long()  # an empty tuple has no type
        save_tensors(folder / CLUSTERS, tensors, {})
        return Outcome(steps=0, images_seen=0, wall_s=time.monotonic() - started)

    sorted_out = chapter.store.train_or_load(spec, run)
    how = Measurement({"revision": DISCARDING_REVISION}, _odd_share)
    return chapter.store.measured(sorted_out, how)


def clusters_of(sorted_out: Run) -> Discarding:
    """The clusters of a `discarded` run."""
    tensors, _ = sorted_out.load_tensors(CLUSTERS)
    return Discarding(
        labels=tensors["labels"].numpy(),
        scores=tensors["scores"].numpy(),
        threshold=float(tensors["threshold"]),
        odd=tuple(tensors["odd"].tolist()),
        centre_distances=tensors["centre_distances"].numpy(),
    )


def kept(chapter: Chapter, name: str) -> Run:
    """A class's pool without what is discarded, as the classifier gets it."""
    pool, sorted_out = drawn(chapter, name), discarded(chapter, name)
    inputs = {"synthetic": made_by(pool), "clusters": made_by(sorted_out)}
    rows = np.flatnonzero(clusters_of(sorted_out).kept)
    return _for_classifier(chapter, f"stage-pggan-{name}", "kept", inputs, pool, rows)


def undiscarded(chapter: Chapter, name: str) -> Run:
    """A class's whole pool, as the classifier gets it."""
    pool = drawn(chapter, name)
    inputs, rows = {"synthetic": made_by(pool)}, np.arange(chapter.parameters.pool_images)
    return _for_classifier(chapter, f"pool-undiscarded-{name}", "undiscarded", inputs, pool, rows)


def _for_classifier(
    chapter: Chapter,
    setup: str,
    of: str,
    inputs: dict[str, dict[str, Any]],
    pool: Run,
    chosen: np.ndarray,
) -> Run:
    """The `chosen` rows of a drawn pool, made into the classifier's images."""
    p = chapter.parameters
    spec = RunSpec(
        chapter="ch4",
        setup=setup,
        method="pool",
        revision=REVISION,
        config={"of": of, "crop_first": p.crop_first, "image_size": p.classifier_size},
        inputs=inputs,
        scale=p.scale,
        seed=p.seed,
    )

    def parts() -> Iterator[np.ndarray]:
        images = images_of(pool)
        for rows in np.array_split(chosen, -(-len(chosen) // AT_ONCE)):
            yield chapter.for_classifier(images[rows])

    shape = (len(chosen), p.classifier_size, p.classifier_size)
    return chapter.store.train_or_load(spec, storing(parts, shape))


def _odd_share(sorted_out: Run) -> dict[str, dict[str, Any]]:
    found = clusters_of(sorted_out)
    share = proportion(int((~found.kept).sum()), len(found.labels), "the clusters held fixed")
    return {"odd_share": share.as_json()}
