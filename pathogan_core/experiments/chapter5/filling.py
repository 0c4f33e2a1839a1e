"""A GAN's synthetic images with the boxes they were asked for, stored once for all arms (5.2.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from pathogan_core.cad.boxed_images import BoxedImages
from pathogan_core.errors import PathoganError
from pathogan_core.experiments.chapter5 import placing
from pathogan_core.experiments.chapter5.data import Chapter
from pathogan_core.experiments.pooling import images_of, made_by, storing
from pathogan_core.experiments.store import Outcome, Run, RunSpec
from pathogan_core.training.checkpoint import save_tensors

REVISION = 1  # raise when a change here alters the images or boxes of an unchanged configuration
BOXES = "boxes.safetensors"
"""Of a pool: ``boxes`` float64 ``[K, 4]`` in pixels, and the image of each, ``rows`` ``[K]``."""


def filled(chapter: Chapter, gan: str) -> Run:
    """The pool of a GAN: `pool_images` images, a lesion asked for in each of their boxes.

    Image i and its boxes do not depend on how many there are.
    """
    p, source = chapter.parameters, placing.train_gan(chapter, gan)
    spec = RunSpec(
        chapter="ch5",
        setup=f"pool-{gan}",
        method="pool",
        revision=REVISION,
        config={
            "of": source.record.method,
            "images": p.pool_images,
            "shift": p.shift,
            "zoom": p.zoom,
            "least_left": p.least_left,
        },
        inputs={"generator": made_by(source), "boxes": chapter.provenance("train")},
        scale=p.scale,
        seed=p.seed,
    )
    size = placing.config_of(source).image_size

    def run(folder: Path) -> Outcome:
        boxes, _ = placing.asked(chapter, p.pool_images)

        def parts() -> Iterator[np.ndarray]:
            return placing.filled_parts(source, boxes, p.seed, chapter.device)

        corners, rows = flattened(boxes)
        tensors = {"boxes": torch.from_numpy(corners), "rows": torch.from_numpy(rows)}
        save_tensors(folder / BOXES, tensors, {})
        shape = (len(boxes), size, size)
        return storing(parts, shape)(folder)

    return chapter.store.train_or_load(spec, run)


def boxed(pool: Run, count: int, name: str) -> BoxedImages:
    """The first `count` images of a pool, each with its boxes.

    Raises:
        PathoganError: the pool has fewer, or a file is missing or damaged.
    """
    images, (tensors, _) = images_of(pool), pool.load_tensors(BOXES)
    if len(images) < count:
        raise PathoganError(
            f"has {len(images)} images and not {count}",
            where=pool.folder,
            remedy="raise pool_images",
        )
    boxes, rows = tensors["boxes"].numpy(), tensors["rows"].numpy()
    taken = rows < count
    return BoxedImages(name, images[:count], boxes[taken], rows[taken])


def flattened(boxes: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """All boxes ``[K, 4]`` of the images, and the image of each ``[K]``."""
    rows = np.repeat(np.arange(len(boxes)), [len(some) for some in boxes])
    return np.concatenate([np.empty((0, 4)), *boxes]), rows
