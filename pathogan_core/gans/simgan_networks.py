"""The networks of Shrivastava et al. (2017): a refiner and a discriminator of patches."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pathogan_core.training.randomness import generator_for


class ResidualBlock(nn.Module):
    """``[N, C, H, W]`` to the same shape."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(F.relu(self.first(x))))


class Refiner(nn.Module):
    """Image ``[N, 1, S, S]`` to image, fp32, unbounded: clip when saving.

    Differs: the paper's network makes the image, ours the change to it, so that copying is nothing
    to be learnt, least of all by plain SGD.

    Args:
        width: channels of every layer.
        blocks: residual blocks.
    """

    def __init__(self, width: int, blocks: int):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.ReLU(),
            *(ResidualBlock(width) for _ in range(blocks)),
        )
        self.change = nn.Conv2d(width, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images)
        # A change may be smaller than bfloat16's steps near -1 and 1, a whole grey level.
        with torch.autocast(images.device.type, enabled=False):
            return images.float() + self.change(features.float())


class Discriminator(nn.Module):
    """Image ``[N, 1, S, S]`` to a map of fp32 logits ``[N, 1, S/4, S/4]``: high is real.

    Differs: one logit a patch where the paper has two and a softmax, which sees their difference.
    LeakyReLU is our choice: the few last channels of a narrow network can all die with ReLU.

    Args:
        width: even; the layers have 3/2, 1, 1/2 and 1/2 of it.
    """

    def __init__(self, width: int):
        super().__init__()
        wide, middle, narrow = 3 * width // 2, width, width // 2
        self.features = nn.Sequential(
            nn.Conv2d(1, wide, 3, 2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(wide, middle, 3, 2, padding=1),
            nn.LeakyReLU(0.2),
            nn.MaxPool2d(3, 1, padding=1),
            nn.Conv2d(middle, narrow, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(narrow, narrow, 1),
            nn.LeakyReLU(0.2),
        )
        self.logit = nn.Conv2d(narrow, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images)
        with torch.autocast(images.device.type, enabled=False):
            return self.logit(features.float())


def initialise(module: nn.Module, seed: int) -> None:
    """He's normal weights for ReLU (He et al. 2015), biases 0; paper silent.

    A residual block begins as the identity: its last weights are 0, so that features do not grow
    from block to block.
    """
    for name, parameter in module.named_parameters():
        if name.endswith(("bias", "second.weight")):
            nn.init.zeros_(parameter)
        else:
            generator = generator_for(seed, "initialise", type(module).__name__, name)
            nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=generator)
