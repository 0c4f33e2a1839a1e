"""Augmentation of images with boxes: what moves an image moves its boxes (thesis section 5.2.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pathogan_core.errors import PathoganError
from pathogan_core.training.augmentation import ClassicAugmentation


@dataclass(frozen=True)
class BoxAugmentation:
    """Flips, shift, zoom, contrast and brightness, each image by its own draw.

    The thesis says "geometric/intensity transformations" and no more: which ones, and their ranges,
    are choices. There is no rotation and no shear: the upright box around a turned box is larger
    than the one around the turned lesion, which the box does not tell.

    Grey g, 0 for black and 1 for white, becomes gain * g ** gamma, cut off at 1: black stays black,
    as the background of an image whose intensities are proportional to the signal.

    Args:
        horizontal_flip, vertical_flip: mirror left-right, top-bottom, with probability 1/2.
        shift: largest displacement as a share of the side; across and down are drawn apart. 0.1, as
            the thesis shifts boxes to generate images from.
        zoom: magnification is drawn from 1 - `zoom` to 1 + `zoom`. 0.1, as the thesis zooms them.
        gain: is drawn from 1 - `gain` to 1 + `gain`. 0.2 is ours (Darknet: photographs up to 1.5
            times as bright or as dark).
        gamma: is drawn from 1 / (1 + `gamma`) to 1 + `gamma`, evenly in its logarithm. 0.2 is ours.
        least_visible: a box of which less than this share of the area stays in the image is
            dropped; others are cut off at its borders. 0.25 is ours.
    """

    DRAWS: ClassVar[int] = ClassicAugmentation.DRAWS + 2
    """Uniform numbers that one image takes."""

    horizontal_flip: bool = True
    vertical_flip: bool = True
    shift: float = 0.1
    zoom: float = 0.1
    gain: float = 0.2
    gamma: float = 0.2
    least_visible: float = 0.25

    def __post_init__(self) -> None:
        _ = self._geometric  # checks shift and zoom
        if not 0 <= self.gain < 1:
            remedy = "give 0 or more, below 1"
            raise PathoganError(f"is {self.gain}", where="gain", remedy=remedy)
        if not 0 <= self.gamma < math.inf:
            raise PathoganError(f"is {self.gamma}", where="gamma", remedy="give 0 or more")
        if not 0 < self.least_visible <= 1:
            remedy = "give more than 0, 1 at most"
            raise PathoganError(f"is {self.least_visible}", where="least_visible", remedy=remedy)

    @property
    def _geometric(self) -> ClassicAugmentation:
        return ClassicAugmentation(
            self.horizontal_flip, self.vertical_flip,
            rotation=0, shift=self.shift, shear=0, zoom=self.zoom,
        )  # fmt: skip

    @torch.no_grad()
    def __call__(
        self, images: Tensor, boxes: Tensor, present: Tensor, uniform: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Augmented copies of all three.

        Args:
            images: float ``[N, C, S, S]`` in [-1, 1].
            boxes: float ``[N, M, 4]`` in pixels, inside the image.
            present: bool ``[N, M]``, which of them are boxes; of the others 0 comes back.
            uniform: ``[N, 9]`` on [0, 1), the randomness; row i decides image i and no other.
        """
        places, greys = uniform.split([ClassicAugmentation.DRAWS, 2], 1)
        side = images.shape[-1]
        moved = self._moved(boxes, places, side)
        inside = moved.clamp(0, side)
        present = present & (_areas(inside) >= self.least_visible * _areas(moved))
        images = self._recoloured(self._geometric(images, places), greys)
        return images, torch.where(present[..., None], inside, 0.0), present

    def _moved(self, boxes: Tensor, uniform: Tensor, side: int) -> Tensor:
        """Where the image's content goes, the boxes go: also beyond its borders."""
        low, high = boxes[..., :2], boxes[..., 2:]
        flips = torch.tensor([self.horizontal_flip, self.vertical_flip], device=boxes.device)
        flipped = ((uniform[:, :2] < 0.5) & flips)[:, None]
        low, high = torch.where(flipped, side - high, low), torch.where(flipped, side - low, high)
        # A place p in the output shows the place shrink * p + displacement of the input, both in
        # half sides from the centre; here the inverse, in pixels from the corner.
        matrices = self._geometric.matrices(uniform[:, 2:])
        shrink, displacement = matrices[:, None, [0, 1], [0, 1]], matrices[:, None, :, 2]
        offset = side / 2 * (1 - (1 + displacement) / shrink)
        return torch.cat([low / shrink + offset, high / shrink + offset], -1)

    def _recoloured(self, images: Tensor, uniform: Tensor) -> Tensor:
        if not (self.gain or self.gamma):
            return images
        gain, exponent = (2 * uniform - 1).view(-1, 2, 1, 1, 1).unbind(1)
        gamma = (math.log1p(self.gamma) * exponent).exp()
        grey = ((images + 1) / 2).clamp(0, 1)
        return ((1 + self.gain * gain) * grey**gamma).clamp(max=1) * 2 - 1


def _areas(boxes: Tensor) -> Tensor:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
