"""One latent, one box, moved over the image: what the page's reader drags (chapter 5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pathogan_core.experiments.chapter5 import placing
from pathogan_core.experiments.store import Run
from pathogan_core.gans import sampling
from pathogan_core.training.batches import to_uint8

POSITIONS = 8
"""Along each axis, evenly spaced."""
SIDES = (0.1, 0.16, 0.25)
"""Of the square boxes, as shares of the image's: about 19, 31 and 48 mm of 192."""
REACH = (0.22, 0.78)
"""Centres lie between these shares of the side: within a brain, mostly."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """What one latent becomes for each box.

    Args:
        images: uint8 ``[sides, rows, columns, S, S]``, and ``nothing`` ``[S, S]`` with no box.
        boxes: ``[sides, rows, columns, 4]`` in pixels.
    """

    images: np.ndarray
    boxes: np.ndarray
    nothing: np.ndarray

    @property
    def sheet(self) -> np.ndarray:
        """All images in one row of rows, ``[sides * rows * columns + 1, S, S]``; `nothing` last."""
        size = self.nothing.shape[-1]
        return np.concatenate([self.images.reshape(-1, size, size), self.nothing[None]])


def swept_boxes(size: int) -> np.ndarray:
    """Boxes ``[sides, rows, columns, 4]`` in pixels of an image of `size`."""
    centres = np.linspace(*REACH, POSITIONS) * size
    y, x = np.meshgrid(centres, centres, indexing="ij")
    half = np.array(SIDES)[:, None, None] * size / 2
    return np.stack(np.broadcast_arrays(x - half, y - half, x + half, y + half), -1)


def sweep(run: Run, seed: int) -> Sweep:
    """Each box with the same latent, the first of this seed."""
    config, generator = placing.config_of(run), placing.load_generator(run)
    boxes = swept_boxes(config.image_size)
    asked = [*boxes.reshape(-1, 1, 4), np.empty((0, 4))]
    latents = sampling.latents(1, config.latent, seed).expand(len(asked), -1)
    drawn = sampling.draw(generator, latents, 64, placing.condition_of(config, asked))
    images = to_uint8(drawn)[:, 0].numpy()
    shape = (*boxes.shape[:3], config.image_size, config.image_size)
    return Sweep(images[:-1].reshape(shape), boxes, images[-1])


def read_sweep(sheet: np.ndarray) -> Sweep:
    """A `Sweep` from its `sheet`."""
    size = sheet.shape[-1]
    boxes = swept_boxes(size)
    return Sweep(sheet[:-1].reshape(*boxes.shape[:3], size, size), boxes, sheet[-1])
