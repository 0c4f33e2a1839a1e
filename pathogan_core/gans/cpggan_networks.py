"""PGGAN's networks with a condition: boxes that say where lesions belong (thesis section 5.2.2).

The condition is one image, ``[N, 1, S, S]``: `outside` where nothing is asked for, 1 in a box. Each
network reduces it to the resolution at hand by area means, so that even at 4x4 a small box keeps
its mass; picking pixels would lose it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from pathogan_core.gans import pggan_networks
from pathogan_core.gans.growth import Stage
from pathogan_core.gans.layers import downsample, upsample
from pathogan_core.gans.pggan_networks import at_stage

Entrance = Literal["before", "after"]


class Generator(pggan_networks.Generator):
    """Latent ``[N, latent]`` and condition ``[N, 1, S, S]`` to image ``[N, 1, R, R]``.

    Noise alone makes the features at 4x4. Each further block is given the condition with the
    features of the block before it.

    Args:
        channels, latent: as PGGAN's.
        condition_channels: 0: no condition, PGGAN; 1: the condition as it is; -1: repeated to as
            many channels as the features it is joined to.
        entrance: whether it is joined ``before`` the features are doubled, at their resolution, or
            ``after``, at the block's own.
    """

    def __init__(
        self,
        channels: Sequence[int],
        latent: int,
        condition_channels: int = 1,
        entrance: Entrance = "before",
    ):
        joined = [inside if condition_channels < 0 else condition_channels for inside in channels]
        super().__init__(channels, latent, joined[:-1])
        self.condition_channels, self.entrance = condition_channels, entrance

    def forward(  # type: ignore[override]
        self,
        latent: Tensor,
        condition: Tensor,
        level: int | None = None,
        alpha: Tensor | float = 1.0,
    ) -> Tensor:
        return super().forward(latent, level, alpha, partial(self.enter, condition))

    def enter(self, condition: Tensor, features: Tensor) -> Tensor:
        """What a block begins with: ``[N, C, R, R]`` to ``[N, C + joined, 2 R, 2 R]``."""
        if not self.condition_channels:
            return upsample(features)
        if self.entrance == "before":
            return upsample(self._joined(condition, features))
        return self._joined(condition, upsample(features))

    def _joined(self, condition: Tensor, features: Tensor) -> Tensor:
        channels = features.shape[1] if self.condition_channels < 0 else self.condition_channels
        shown = reduced(condition, features.shape[-1]).to(features.dtype)
        return torch.cat([features, shown.expand(-1, channels, -1, -1)], 1)


class Discriminator(pggan_networks.Discriminator):
    """Image ``[N, 1, R, R]`` and condition ``[N, 1, S, S]`` to the critic's value, fp32 ``[N]``.

    What it is shown is the image with the condition as a second channel. Give the condition as
    `seen_at` a stage: it fades as real images do.

    Args:
        channels, stddev_group: as PGGAN's.
        conditional: False: the condition is not looked at, PGGAN.
    """

    def __init__(self, channels: Sequence[int], stddev_group: int, conditional: bool = True):
        super().__init__(channels, stddev_group, seen=1 + conditional)
        self.conditional = conditional

    def forward(  # type: ignore[override]
        self,
        images: Tensor,
        condition: Tensor,
        level: int | None = None,
        alpha: Tensor | float = 1.0,
    ) -> Tensor:
        if self.conditional:
            shown = reduced(condition, images.shape[-1]).to(images.dtype)
            images = torch.cat([images, shown], 1)
        return super().forward(images, level, alpha)


def reduced(condition: Tensor, size: int) -> Tensor:
    """Area means ``[N, 1, size, size]`` of a condition ``[N, 1, S, S]``, S a multiple of `size`."""
    factor = condition.shape[-1] // size
    return condition if factor == 1 else downsample(condition, factor)


def seen_at(condition: Tensor, stage: Stage) -> Tensor:
    """The condition as the critic is shown it: reduced and faded exactly as real images are."""
    return at_stage(condition, stage)
