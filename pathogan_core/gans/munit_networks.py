"""The networks of Huang et al. (2018): encoders, a decoder, discriminators at several scales."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pathogan_core.gans.layers import adaptive_instance_norm, upsample
from pathogan_core.training.randomness import generator_for


def _convolution(inside: int, outside: int, kernel_size: int, stride: int = 1) -> nn.Conv2d:
    """Keeps the size, or halves it (rounding down) with a stride of 2; edges are mirrored."""
    padding = (kernel_size - stride + 1) // 2
    return nn.Conv2d(inside, outside, kernel_size, stride, padding, padding_mode="reflect")


class ContentBlock(nn.Module):
    """A residual block with instance normalisation, ``[N, C, H, W]`` to the same shape."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = _convolution(channels, channels, 3)
        self.second = _convolution(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        branch = F.relu(F.instance_norm(self.first(x)))
        return x + F.instance_norm(self.second(branch))


class ContentEncoder(nn.Module):
    """Image ``[N, 1, S, S]`` to its content, a map ``[N, 4 width, S/4, S/4]``.

    Instance normalisation takes each channel's mean and spread away: they are style.
    """

    def __init__(self, width: int, blocks: int):
        super().__init__()
        self.convolutions = nn.ModuleList(
            [
                _convolution(1, width, 7),
                _convolution(width, 2 * width, 4, 2),
                _convolution(2 * width, 4 * width, 4, 2),
            ]
        )
        self.blocks = nn.Sequential(*(ContentBlock(4 * width) for _ in range(blocks)))

    def forward(self, images: Tensor) -> Tensor:
        x = images
        for convolution in self.convolutions:
            x = F.relu(F.instance_norm(convolution(x)))
        return self.blocks(x)


class StyleEncoder(nn.Module):
    """Image ``[N, 1, S, S]``, S from 16 on, to its style ``[N, style]``.

    No normalisation: it would take away what style is.
    """

    def __init__(self, width: int, style: int):
        super().__init__()
        channels = (width, 2 * width, 4 * width, 4 * width, 4 * width)
        layers: list[nn.Module] = [_convolution(1, width, 7), nn.ReLU()]
        for inside, outside in pairwise(channels):
            layers += [_convolution(inside, outside, 4, 2), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.code = nn.Linear(channels[-1], style)

    def forward(self, images: Tensor) -> Tensor:
        return self.code(self.features(images).mean((2, 3)))


class StyledBlock(nn.Module):
    """A residual block whose normalisations are told mean and deviation of each channel."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = _convolution(channels, channels, 3)
        self.second = _convolution(channels, channels, 3)

    def forward(self, x: Tensor, statistics: Tensor) -> Tensor:
        """``[N, C, H, W]`` to the same shape, with `statistics` ``[N, 4, C]``."""
        mean, deviation, last_mean, last_deviation = statistics.unbind(1)
        branch = F.relu(adaptive_instance_norm(self.first(x), mean, deviation))
        return x + adaptive_instance_norm(self.second(branch), last_mean, last_deviation)


class Decoder(nn.Module):
    """Content ``[N, 4 width, H, W]`` and style ``[N, style]`` to an image ``[N, 1, 4 H, 4 W]``.

    fp32 and within (-1, 1), by a tanh. A perceptron makes of the style what the blocks'
    normalisations are told; a deviation is its output plus 1, so that a block begins near plain
    instance normalisation (paper silent).
    """

    def __init__(self, width: int, blocks: int, style: int, hidden: int):
        super().__init__()
        channels = 4 * width
        self.perceptron = nn.Sequential(
            nn.Linear(style, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, blocks * 4 * channels),
        )
        self.blocks = nn.ModuleList(StyledBlock(channels) for _ in range(blocks))
        self.growth = nn.ModuleList(
            [_convolution(4 * width, 2 * width, 5), _convolution(2 * width, width, 5)]
        )
        # One group: the norm over channels and pixels leaves what the style set between channels.
        self.norms = nn.ModuleList([nn.GroupNorm(1, 2 * width), nn.GroupNorm(1, width)])
        self.image = _convolution(width, 1, 7)

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        statistics = self.perceptron(style).unflatten(1, (len(self.blocks), 4, -1))
        offset = statistics.new_tensor([0.0, 1.0, 0.0, 1.0])[:, None]
        x = content
        for number, block in enumerate(self.blocks):
            x = block(x, statistics[:, number] + offset)
        for convolution, norm in zip(self.growth, self.norms, strict=True):
            x = F.relu(norm(convolution(upsample(x))))
        # bfloat16's steps near -1 and 1 are a whole grey level.
        with torch.autocast(x.device.type, enabled=False):
            return torch.tanh(self.image(x.float()))


class Translator(nn.Module):
    """Encoders and decoder of one domain."""

    def __init__(self, width: int, blocks: int, style: int, hidden: int):
        super().__init__()
        self.content_encoder = ContentEncoder(width, blocks)
        self.style_encoder = StyleEncoder(width, style)
        self.decoder = Decoder(width, blocks, style, hidden)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Content ``[N, 4 width, S/4, S/4]`` and style ``[N, style]`` of images."""
        return self.content_encoder(images), self.style_encoder(images)

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        """Images ``[N, 1, S, S]`` of this domain."""
        return self.decoder(content, style)


class Translators(nn.ModuleDict):
    """A `Translator` by domain."""

    def __getitem__(self, domain: str) -> Translator:
        return cast(Translator, super().__getitem__(domain))


class MultiscaleDiscriminator(nn.Module):
    """Image ``[N, 1, S, S]`` to a map of answers by scale, fp32 ``[N, 1, h, w]`` each.

    Each scale has a network of its own and sees the image at half the size of the one before.
    No normalisation. S is at least ``2**(layers + scales - 1)``.
    """

    def __init__(self, width: int, layers: int, scales: int):
        super().__init__()
        channels = [width * 2**number for number in range(layers)]
        self.features = nn.ModuleList()
        self.answers = nn.ModuleList(nn.Conv2d(channels[-1], 1, 1) for _ in range(scales))
        for _ in range(scales):
            stack: list[nn.Module] = []
            for inside, outside in pairwise([1, *channels]):
                stack += [_convolution(inside, outside, 4, 2), nn.LeakyReLU(0.2)]
            self.features.append(nn.Sequential(*stack))

    def forward(self, images: Tensor) -> list[Tensor]:
        found = []
        for features, answer in zip(self.features, self.answers, strict=True):
            x = features(images)
            with torch.autocast(images.device.type, enabled=False):
                found.append(answer(x.float()))
            images = F.avg_pool2d(images, 3, 2, padding=1, count_include_pad=False)
        return found


def initialise(networks: nn.Module, kind: str, seed: int) -> None:
    """Biases 0; weights by He's normal law for translators, N(0, 0.02) for discriminators.

    Paper silent; both are the reference code's. `kind`, a module's name, seeds the draws.
    """
    for name, parameter in networks.named_parameters():
        generator = generator_for(seed, "initialise", kind, name)
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif parameter.ndim == 1:
            nn.init.ones_(parameter)
        elif kind == "discriminators":
            nn.init.normal_(parameter, 0.0, 0.02, generator=generator)
        else:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=generator)
