"""Two unpaired sets of images: synthetic ones that a refiner changes, real ones it is shown."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pathogan_core.errors import PathoganError
from pathogan_core.training.augmentation import ClassicAugmentation
from pathogan_core.training.batches import DeviceImages
from pathogan_core.training.phases import Turn

MIRRORING = ClassicAugmentation(vertical_flip=False, rotation=0, shift=0, shear=0, zoom=0)
"""Horizontal flips only, as the thesis' refiners are trained (section 4.2.3)."""


@dataclass(frozen=True)
class Domains:
    """Both sets, of one size; their batches are drawn independently.

    Args:
        synthetic, real: ``[N, 1, size, size]`` each; N may differ.
        size: side in pixels.
        batch_size: of each set's batches.
        mirror: flip each drawn image left-right with probability 1/2.

    Raises:
        PathoganError: a set has fewer images than a batch, or images of another shape.
    """

    synthetic: DeviceImages
    real: DeviceImages
    size: int
    batch_size: int
    mirror: bool

    def __post_init__(self) -> None:
        self._check("synthetic", self.synthetic)
        self._check("real", self.real)

    def _check(self, name: str, images: DeviceImages) -> None:
        if len(images) < max(self.batch_size, 1):
            raise PathoganError(
                f"{len(images)} are fewer than a batch of {self.batch_size}",
                where=f"{name} images",
                remedy="use more images or a smaller batch",
            )
        shape = tuple(images[torch.tensor([0])].shape[1:])
        wanted = (1, self.size, self.size)
        if shape != wanted:
            raise PathoganError(
                f"have shape {' x '.join(map(str, shape))}, not {' x '.join(map(str, wanted))}",
                where=f"{name} images",
                remedy="bring both sets to image_size, in one channel",
            )

    def draw_synthetic(self, turn: Turn) -> Tensor:
        """This rank's share of a batch, float ``[share, 1, size, size]`` in [-1, 1]."""
        return self._draw(self.synthetic, turn)

    def draw_real(self, turn: Turn) -> Tensor:
        """As `draw_synthetic`."""
        return self._draw(self.real, turn)

    def _draw(self, images: DeviceImages, turn: Turn) -> Tensor:
        batch = images[turn.indices(self.batch_size, len(images))]
        if not self.mirror:
            return batch
        return MIRRORING(batch, turn.rand(self.batch_size, MIRRORING.DRAWS))


def check_size(size: int, least: int) -> None:
    """Refuse a side that two halvings do not divide, or below `least`.

    Raises:
        PathoganError: see above.
    """
    if size < least or size % 4:
        raise PathoganError(
            f"{size} is not a multiple of 4 from {least} on",
            where="image_size",
            remedy="use 224, as the thesis does",
        )


def check_least(config: object, **least: float) -> None:
    """Refuse numbers of a configuration below a bound, given by the field's name.

    Raises:
        PathoganError: names the first such field.
    """
    for name, bound in least.items():
        value = getattr(config, name)
        if not value >= bound:
            raise PathoganError(f"{value} is too small", where=name, remedy=f"give {bound} or more")
