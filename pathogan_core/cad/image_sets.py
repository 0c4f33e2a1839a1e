"""What a classifier learns from: real and synthetic images of two classes, mixed in proportion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pathogan_core.cad.pooled_images import PooledImages, check_images, check_sets
from pathogan_core.errors import PathoganError
from pathogan_core.training.augmentation import ClassicAugmentation
from pathogan_core.training.phases import Turn

NON_TUMOUR, TUMOUR = 0, 1
CLASSES = {NON_TUMOUR: "non-tumour", TUMOUR: "tumour"}


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images of one origin.

    Args:
        name: for messages, e.g. ``real`` or ``pggan``.
        images: uint8 ``[N, S, S]``. Sets that hold the *same array object* share it on the device.
        labels: ``[N]``, 1 tumour and 0 non-tumour.
        count: how many images of an epoch come from this set, its share of every batch; None: N.
            The thesis' "+ 200k classic DA" is the real images once more with `augmented` and a
            count of 200,000.
        augmented: whether they are augmented whenever they are drawn.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    count: int | None = None
    augmented: bool = False

    def __post_init__(self) -> None:
        check_images(self._where, self.images, self.count)
        if self.labels.shape != (len(self.images),):
            raise PathoganError(
                f"has {len(self.images)} images and {self.labels.size} labels",
                where=self._where,
                remedy="give one label for each image",
            )
        if not np.isin(self.labels, list(CLASSES)).all():
            raise PathoganError(
                "has labels other than 0 and 1",
                where=self._where,
                remedy="1 is tumour, 0 is non-tumour",
            )

    def __len__(self) -> int:
        """Images of an epoch that come from this set."""
        return len(self.images) if self.count is None else self.count

    @property
    def _where(self) -> str:
        return f"image set {self.name}"


class Mixture:
    """The training images of one arm, on the device; its length is an epoch's number of images.

    Differs: the thesis makes, say, 200,000 augmented images once and passes over all images epoch
    by epoch. Here every image of a batch is drawn with replacement, its set in proportion to the
    sets' counts, and augmented anew. An image is seen as often on average.

    Args:
        sets: what the arm is made of.
        device: where the images stay.

    Raises:
        PathoganError: no set, sets of unequal image size, or a class without a single image.
    """

    def __init__(self, sets: Sequence[ImageSet], device: torch.device | str = "cpu"):
        check_sets(sets)
        _check_classes(sets)
        self.sets = tuple(sets)
        self._images = PooledImages(sets, device)
        labels = np.concatenate([part.labels for part in sets]).astype(np.float32)
        self._labels = torch.from_numpy(labels).to(device)
        self._augmented = torch.tensor([part.augmented for part in sets], device=device)

    @property
    def side(self) -> int:
        """Pixels."""
        return self._images.side

    def __len__(self) -> int:
        return self._images.epoch

    def draw(
        self, turn: Turn, batch_size: int, augmentation: ClassicAugmentation
    ) -> tuple[Tensor, Tensor]:
        """This rank's share of a batch: images float ``[n, 1, S, S]`` in [-1, 1], labels ``[n]``.

        Only images of sets that are `augmented` are changed.
        """
        drawn = self._images.draw(turn, batch_size)
        images = drawn.images
        if any(part.augmented for part in self.sets):
            changed = augmentation(images, turn.rand(batch_size, augmentation.DRAWS))
            augmented = self._augmented[drawn.chosen].view(-1, 1, 1, 1)
            images = torch.where(augmented, changed, images)
        return images, self._labels[drawn.entry]


def _check_classes(sets: Sequence[ImageSet]) -> None:
    for label, name in CLASSES.items():
        if not any((part.labels == label).any() for part in sets):
            raise PathoganError(
                f"no image of class {name} in {', '.join(part.name for part in sets)}",
                where="arm",
                remedy="add patients, or loosen the rule that decides the class",
            )
