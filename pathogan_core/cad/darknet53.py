"""Darknet-53, the trunk of YOLOv3 (Redmon & Farhadi 2018, table 1), without its classifier.

A convolution, then five stages. Each halves the resolution by a convolution of stride 2, doubles
the channels and goes on with residual units: 52 convolutions in all. (The 53rd layer of its name
is the dense layer of 1,000 classes, which a detector has no use for.)
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from pathogan_core.training.randomness import generator_for

CHANNELS = (32, 64, 128, 256, 512, 1024)
"""Of the first convolution and of the five stages."""
UNITS = (1, 2, 8, 8, 4)
"""Residual units of the stages."""
STRIDES = (8, 16, 32)
"""Pixels of the image to a cell of each map that a detector takes: of the last three stages."""
LEAK = 0.1
"""Slope of the leaky rectifier below 0. Paper silent; that of the authors' code."""


class Convolution(nn.Module):
    """Convolution without bias, batch normalisation, leaky rectifier: Darknet's one layer."""

    def __init__(self, inside: int, outside: int, kernel_size: int, stride: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, kernel_size, stride, kernel_size // 2, bias=False)
        self.norm = nn.BatchNorm2d(outside)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, inside, H, W]`` to ``[N, outside, H / stride, W / stride]``."""
        return F.leaky_relu(self.norm(self.conv(x)), LEAK)


class ResidualUnit(nn.Module):
    """1x1 to half the channels, 3x3 back, added to the input."""

    def __init__(self, channels: int):
        super().__init__()
        self.reduce = Convolution(channels, channels // 2, 1)
        self.expand = Convolution(channels // 2, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, channels, H, W]`` to the same shape."""
        return x + self.expand(self.reduce(x))


class Darknet53(nn.Module):
    """Images to the maps of the last three stages.

    Args:
        width: multiplies the channels of every layer; 1: the paper's.
        depth: multiplies the units of every stage, of which one at least is left; 1: the paper's.
    """

    def __init__(self, width: float = 1.0, depth: float = 1.0):
        super().__init__()
        first, *rest = (scaled(channels, width) for channels in CHANNELS)
        self.channels = tuple(rest[-3:])
        self.stem = Convolution(1, first, 3)
        self.stages = nn.ModuleList()
        for inside, outside, units in zip((first, *rest), rest, UNITS, strict=False):
            residual = (ResidualUnit(outside) for _ in range(max(1, round(units * depth))))
            self.stages.append(nn.Sequential(Convolution(inside, outside, 3, 2), *residual))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features ``[N, channels, S / stride, S / stride]``, one for each of `STRIDES`.

        Args:
            images: float ``[N, 1, S, S]`` in [-1, 1], S a multiple of 32.
        """
        x, maps = self.stem(images), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps[-3:]


def scaled(channels: int, width: float) -> int:
    """A layer's channels times `width`, as an even number: residual units halve it."""
    return max(2, 2 * round(channels * width / 2))


def initialise(network: nn.Module, seed: int) -> None:
    """Every convolution by He et al. (2015), fan-in, for the leaky rectifier; biases 0."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(
                module.weight, LEAK, generator=generator_for(seed, "initialise", name)
            )
            if module.bias is not None:
                nn.init.zeros_(module.bias)
