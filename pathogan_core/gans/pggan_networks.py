"""The networks of Karras et al. (2018), table 2, which hold every level from the start.

Level and alpha are arguments of a forward pass. What fades in does so with one alpha: the
generator's image, the discriminator's features (`Discriminator`), and the real images (`at_stage`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pathogan_core.gans.growth import Stage
from pathogan_core.gans.layers import (
    EqualisedConv2d,
    EqualisedLinear,
    MinibatchStdDev,
    downsample,
    fade,
    pixel_norm,
    upsample,
)
from pathogan_core.training.randomness import generator_for


def _activated(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


Enter = Callable[[Tensor], Tensor]
"""What a block begins with: features ``[N, C, R, R]`` to ``[N, C + extra, 2 R, 2 R]``."""


class GeneratorBlock(nn.Module):
    """Features ``[N, inside, R, R]`` to ``[N, outside, 2 R, 2 R]``.

    Args:
        extra: channels that `enter` adds; none in PGGAN.
    """

    def __init__(self, inside: int, outside: int, extra: int = 0):
        super().__init__()
        self.first = EqualisedConv2d(inside + extra, outside, 3, padding=1)
        self.second = EqualisedConv2d(outside, outside, 3, padding=1)

    def forward(self, x: Tensor, enter: Enter = upsample) -> Tensor:
        x = pixel_norm(_activated(self.first(enter(x))))
        return pixel_norm(_activated(self.second(x)))


class Generator(nn.Module):
    """Latent ``[N, latent]`` to image ``[N, 1, R, R]``, unbounded: clip when saving.

    At `level` L, R = 4 * 2**L; without one, at the last. While it fades in (`alpha` below 1) its
    image is mixed with that of the level before. Compiled, a 0-d tensor `alpha` may change without
    a new compilation.

    Args:
        channels: of the feature maps, by level from 4x4 on.
        latent: size of the latent.
        extra: channels that `enter` adds in each block, for a generator that is given more than
            noise (`cpggan`); none by default.
    """

    def __init__(self, channels: Sequence[int], latent: int, extra: Sequence[int] = ()):
        super().__init__()
        extra = extra or [0] * (len(channels) - 1)
        # On one pixel padded by 3 a 4x4 convolution is a dense layer, its scale that of 16 taps.
        self.first = EqualisedConv2d(latent, channels[0], 4, padding=3)
        self.second = EqualisedConv2d(channels[0], channels[0], 3, padding=1)
        self.blocks = nn.ModuleList(
            GeneratorBlock(coarse, fine, more)
            for (coarse, fine), more in zip(pairwise(channels), extra, strict=True)
        )
        self.to_image = nn.ModuleList(EqualisedConv2d(count, 1, 1, gain=1.0) for count in channels)

    def forward(
        self,
        latent: Tensor,
        level: int | None = None,
        alpha: Tensor | float = 1.0,
        enter: Enter = upsample,
    ) -> Tensor:
        level = len(self.blocks) if level is None else level
        x = pixel_norm(latent)[:, :, None, None]
        x = pixel_norm(_activated(self.first(x)))
        old = x = pixel_norm(_activated(self.second(x)))
        for block in self.blocks[:level]:
            old, x = x, block(x, enter)
        image = self.to_image[level](x).float()
        if not _fades(level, alpha):
            return image
        return fade(upsample(self.to_image[level - 1](old)), image, alpha)


class DiscriminatorBlock(nn.Module):
    """Features ``[N, inside, 2 R, 2 R]`` to ``[N, outside, R, R]``."""

    def __init__(self, inside: int, outside: int):
        super().__init__()
        self.first = EqualisedConv2d(inside, inside, 3, padding=1)
        self.second = EqualisedConv2d(inside, outside, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return downsample(_activated(self.second(_activated(self.first(x)))))


class Discriminator(nn.Module):
    """Image ``[N, 1, R, R]`` to one unbounded number, the critic's value, fp32 ``[N]``.

    At `level` L, R = 4 * 2**L; without one, at the last. While it fades in, its features are mixed
    with those that the level before sees in the halved image.

    Args:
        channels: as the generator's.
        stddev_group: samples that the minibatch standard deviation compares; N is a multiple.
        seen: channels of what it is shown; 1, the image.
    """

    def __init__(self, channels: Sequence[int], stddev_group: int, seen: int = 1):
        super().__init__()
        self.from_image = nn.ModuleList(EqualisedConv2d(seen, count, 1) for count in channels)
        self.blocks = nn.ModuleList(
            DiscriminatorBlock(fine, coarse) for coarse, fine in pairwise(channels)
        )
        self.compare = MinibatchStdDev(stddev_group)
        self.first = EqualisedConv2d(channels[0] + 1, channels[0], 3, padding=1)
        self.second = EqualisedConv2d(channels[0], channels[0], 4)
        self.value = EqualisedLinear(channels[0], 1, gain=1.0)

    def forward(
        self, images: Tensor, level: int | None = None, alpha: Tensor | float = 1.0
    ) -> Tensor:
        level = len(self.blocks) if level is None else level
        x = _activated(self.from_image[level](images))
        if level > 0:
            x = self.blocks[level - 1](x)
        if _fades(level, alpha):
            old = _activated(self.from_image[level - 1](downsample(images)))
            x = fade(old, x, alpha)
        for number in reversed(range(level - 1)):
            x = self.blocks[number](x)
        x = _activated(self.first(self.compare(x)))
        x = _activated(self.second(x)).flatten(1)
        with torch.autocast(x.device.type, enabled=False):
            return self.value(x.float())[:, 0]


def _fades(level: int, alpha: Tensor | float) -> bool:
    return level > 0 and (isinstance(alpha, Tensor) or alpha < 1.0)


def at_stage(images: Tensor, stage: Stage) -> Tensor:
    """Real images as the critic sees them: area means, faded as the generator's images are.

    Float ``[N, 1, S, S]`` to ``[N, 1, R, R]``, the stage's resolution.
    """
    shown = downsample(images, images.shape[-1] // stage.resolution)
    if not _fades(stage.level, stage.alpha):
        return shown
    return fade(upsample(downsample(shown)), shown, stage.alpha)


def initialise(module: nn.Module, seed: int) -> None:
    """Weights N(0, 1), biases 0 (Karras et al. 2018, section 4.1)."""
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        else:
            generator = generator_for(seed, "initialise", type(module).__name__, name)
            nn.init.normal_(parameter, generator=generator)
