"""What a detector learns from: real and synthetic images with boxes, mixed in proportion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pathogan_core import boxes as box_rules
from pathogan_core.cad.box_augmentation import BoxAugmentation
from pathogan_core.cad.pooled_images import PooledImages, check_images, check_sets
from pathogan_core.errors import PathoganError
from pathogan_core.training.phases import Turn


@dataclass(frozen=True, eq=False)
class BoxedImages:
    """Images of one origin with the boxes around their lesions, none to many an image.

    Args:
        name: for messages, e.g. ``real`` or ``cpggan``.
        images: uint8 ``[N, S, S]``. Sets that hold the *same array object* share it on the device.
        boxes: ``[K, 4]``, the boxes of all images: xmin, ymin, xmax, ymax in pixels (`boxes`).
        rows: int ``[K]``, the image that each box lies in, 0 to N - 1, in any order. An image that
            is not named has no lesion: it is learnt from as well.
        count: how many images of an epoch come from this set, its share of every batch; None: N.

    Raises:
        PathoganError: images of another kind, a box that means nothing or leaves its image, or a
            row that is none.
    """

    name: str
    images: np.ndarray
    boxes: np.ndarray
    rows: np.ndarray
    count: int | None = None

    def __post_init__(self) -> None:
        where = f"image set {self.name}"
        check_images(where, self.images, self.count)
        side = self.images.shape[1]
        box_rules.check(self.boxes, where, width=side, height=side)
        if self.rows.shape != (len(self.boxes),):
            problem = f"has {len(self.boxes)} boxes and {self.rows.size} rows"
            raise PathoganError(problem, where=where, remedy="give the image of each box")
        images = len(self.images)
        if not np.isin(self.rows, np.arange(images)).all():
            raise PathoganError(
                f"has boxes in other images than its {images}",
                where=where,
                remedy=f"rows are numbers from 0 to {images - 1}",
            )

    def __len__(self) -> int:
        """Images of an epoch that come from this set."""
        return len(self.images) if self.count is None else self.count


@dataclass(frozen=True)
class BoxedBatch:
    """Images of a batch and their boxes, as many rows an image as the richest image needs.

    Args:
        images: float ``[n, 1, S, S]`` in [-1, 1].
        boxes: float ``[n, M, 4]`` in pixels; 0 where there is none.
        present: bool ``[n, M]``, where there is one.
    """

    images: Tensor
    boxes: Tensor
    present: Tensor


class BoxedMixture:
    """The training images of one arm, on the device; its length is an epoch's number of images.

    Every image of a batch is drawn with replacement, its set in proportion to the sets' counts.

    Args:
        sets: what the arm is made of.
        device: where images and boxes stay.

    Raises:
        PathoganError: no set, sets of unequal image size, or no box in any of them.
    """

    def __init__(self, sets: Sequence[BoxedImages], device: torch.device | str = "cpu"):
        check_sets(sets)
        if not any(len(part.boxes) for part in sets):
            raise PathoganError(
                f"no box in {', '.join(part.name for part in sets)}",
                where="arm",
                remedy="add images with lesions",
            )
        self.sets = tuple(sets)
        self._images = PooledImages(sets, device)
        per_image = np.concatenate(
            [np.bincount(part.rows.astype(int), minlength=len(part.images)) for part in sets]
        )
        boxes = np.zeros((len(per_image), per_image.max(), 4), np.float32)
        present = np.arange(per_image.max()) < per_image[:, None]
        # True cells of `present`, row by row, are the boxes sorted by image.
        boxes[present] = np.concatenate(
            [np.reshape(part.boxes, (-1, 4))[np.argsort(part.rows, kind="stable")] for part in sets]
        )
        self._boxes = torch.from_numpy(boxes).to(device)
        self._present = torch.from_numpy(present).to(device)

    @property
    def side(self) -> int:
        """Pixels."""
        return self._images.side

    def __len__(self) -> int:
        return self._images.epoch

    def draw(self, turn: Turn, batch_size: int, augmentation: BoxAugmentation) -> BoxedBatch:
        """This rank's share of a batch, all of it augmented (thesis: real and synthetic images)."""
        drawn = self._images.draw(turn, batch_size)
        uniform = turn.rand(batch_size, augmentation.DRAWS)
        boxes, present = self._boxes[drawn.entry], self._present[drawn.entry]
        return BoxedBatch(*augmentation(drawn.images, boxes, present, uniform))
