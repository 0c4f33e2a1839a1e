"""Classic augmentation of image batches on their device (thesis section 4.2.4)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from pathogan_core.errors import PathoganError


@dataclass(frozen=True)
class ClassicAugmentation:
    """Flips, rotation, shift, shear and zoom, each image by its own draw.

    The thesis lists the transformations and their ranges, and combines them randomly. Here each is
    drawn uniformly from its range, about the image's centre, and all are applied in one
    interpolation (bilinear); flips move whole pixels. With ranges of zero nothing is interpolated.

    Args:
        horizontal_flip, vertical_flip: mirror left-right, top-bottom, with probability 1/2.
        rotation: largest angle in degrees, either way.
        shift: largest displacement as a share of the side; across and down are drawn apart.
        shear: largest slope, either way: rows are displaced by this share of their distance from
            the centre. The thesis says "8%" and not of what.
        zoom: magnification is drawn from 1 - `zoom` to 1 + `zoom`, the same across and down
            (thesis silent: another draw for each would squeeze the brain).
        fill: constant outside the input, in the images' unit: -1 is black. Thesis: "constant".
    """

    DRAWS: ClassVar[int] = 7
    """Uniform numbers that one image takes."""

    horizontal_flip: bool = True
    vertical_flip: bool = True
    rotation: float = 10.0
    shift: float = 0.08
    shear: float = 0.08
    zoom: float = 0.08
    fill: float = -1.0

    def __post_init__(self) -> None:
        for name in ("rotation", "shift", "shear", "zoom"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise PathoganError(f"is {value}", where=name, remedy="give 0 or more")
        if self.zoom >= 1:
            raise PathoganError(
                f"{self.zoom} would shrink an image to nothing", where="zoom", remedy="stay below 1"
            )

    @torch.no_grad()
    def __call__(self, images: Tensor, uniform: Tensor) -> Tensor:
        """Augmented copies.

        Args:
            images: float ``[N, C, S, S]``.
            uniform: ``[N, 7]`` on [0, 1), the randomness; row i decides image i and no other.
        """
        flips, rest = uniform[:, :2], uniform[:, 2:]
        images = _flip(images, flips[:, 0], -1) if self.horizontal_flip else images
        images = _flip(images, flips[:, 1], -2) if self.vertical_flip else images
        if not any((self.rotation, self.shift, self.shear, self.zoom)):
            return images
        return warp(images, self.matrices(rest), self.fill)

    def matrices(self, uniform: Tensor) -> Tensor:
        """What `warp` takes, ``[N, 2, 3]``, of uniform numbers ``[N, 5]``."""
        signed = 2 * uniform - 1
        angle = math.radians(self.rotation) * signed[:, 0]
        slope = self.shear * signed[:, 1]
        shrink = 1 / (1 + self.zoom * signed[:, 2])
        cosine, sine = shrink * angle.cos(), shrink * angle.sin()
        across, down = (2 * self.shift * signed[:, 3:]).unbind(1)
        first = torch.stack([cosine, slope * cosine - sine, across], 1)
        second = torch.stack([sine, slope * sine + cosine, down], 1)
        return torch.stack([first, second], 1)


@torch.no_grad()
def warp(images: Tensor, matrices: Tensor, fill: float) -> Tensor:
    """Resample images bilinearly; what lies outside the input is `fill`.

    Args:
        images: float ``[N, C, S, S]``.
        matrices: ``[N, 2, 3]``, from a place (x, y) in the output to the place in the input that is
            shown there, both in half sides from the centre: the image's edges are at -1 and 1.
        fill: in the images' unit.
    """
    # Under autocast the grid would be bfloat16, that is wrong by half a pixel at 256 px.
    with torch.autocast(images.device.type, enabled=False):
        grid = F.affine_grid(matrices.float(), list(images.shape), align_corners=False)
        above_fill = F.grid_sample(images.float() - fill, grid, align_corners=False)
    return above_fill + fill


def _flip(images: Tensor, uniform: Tensor, dimension: int) -> Tensor:
    chosen = (uniform < 0.5).view(-1, 1, 1, 1)
    return torch.where(chosen, images.flip(dimension), images)
