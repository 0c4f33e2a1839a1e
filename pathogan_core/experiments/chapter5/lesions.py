"""Lesions, real and synthetic, cut out of their boxes at one size (thesis figures 12 and 14)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pathogan_core.errors import PathoganError
from pathogan_core.experiments.chapter5 import placing, reporting
from pathogan_core.experiments.chapter5.data import BoxedSlices, Chapter
from pathogan_core.experiments.store import Run
from pathogan_core.training.randomness import derive_seed

DARKEST = 25
"""Mean grey level, of 255, up to which a panel shows air and is left out: our choice. Boxes that
are asked for have been shifted by up to a tenth of the image, some of them off the head."""
SPARE = 4
"""One image in so many is drawn beyond those wanted, for lesions that are left out."""


@dataclass(frozen=True, eq=False)
class Lesions:
    """What boxes hold, air left out.

    Args:
        images: uint8 ``[N, side, side]``, side being `reporting.LESION_SIDE`.
        patients: whose each is ``[N]``; "" of synthetic ones.
    """

    images: np.ndarray
    patients: np.ndarray


def real_lesions(slices: BoxedSlices) -> Lesions:
    """The content of every rough box."""
    panels = reporting.lesion_panels(slices.images, slices.rough)
    patients = np.repeat(slices.patients, [len(boxes) for boxes in slices.rough])
    return _without_air(panels, patients.astype(np.str_))


def synthetic_lesions(chapter: Chapter, run: Run, count: int) -> Lesions:
    """One lesion of a GAN's image each, `count` of them or, with much air, fewer.

    Boxes of one image may overlap: lesions of one image would not be independent.

    Raises:
        PathoganError: as `synthetic_slices`.
    """
    images, boxes = synthetic_slices(chapter, run, count + -(-count // SPARE))
    seed = chapter.parameters.seed
    panels = reporting.lesion_panels(
        images, [_one_of(some, seed, i) for i, some in enumerate(boxes)]
    )
    kept = _without_air(panels, np.full(len(panels), ""))
    return Lesions(kept.images[:count], kept.patients[:count])


def synthetic_slices(
    chapter: Chapter, run: Run, count: int
) -> tuple[np.ndarray, Sequence[np.ndarray]]:
    """A GAN's images, uint8 ``[count, S, S]``, and the boxes asked for, ``[n, 4]`` in pixels.

    Image i does not depend on `count`.

    Args:
        run: a GAN of `parameters.GANS`, live or committed.

    Raises:
        PathoganError: it draws images of another size than the chapter's slices.
    """
    size, own = chapter.parameters.image_size, placing.config_of(run).image_size
    if own != size:
        raise PathoganError(
            f"draws images of {own} px, and slices have {size}",
            where=run.folder,
            remedy=f"use a run of {size} px, or set image_size to {own}",
        )
    boxes, _ = placing.asked(chapter, count)
    return placing.fill(run, boxes, chapter.parameters.seed), boxes


def _one_of(boxes: np.ndarray, seed: int, number: int) -> np.ndarray:
    """One box of image `number`, ``[1, 4]``, or none of none."""
    if not len(boxes):
        return boxes
    rng = np.random.default_rng(derive_seed(seed, "lesion", number))
    return boxes[[rng.integers(len(boxes))]]


def _without_air(panels: np.ndarray, patients: np.ndarray) -> Lesions:
    shown = panels.mean(axis=(1, 2)) > DARKEST
    return Lesions(panels[shown], patients[shown])
