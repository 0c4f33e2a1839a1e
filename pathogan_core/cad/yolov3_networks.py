"""YOLOv3's network: Darknet-53 and three heads (Redmon & Farhadi 2018, section 2.3).

The paper says that features of a coarse head are upsampled, joined with the trunk's finer ones and
followed by "a few more" convolutions; which, is read in its authors' configuration.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pathogan_core.cad.anchor_grid import PER_CELL
from pathogan_core.cad.darknet53 import STRIDES, Convolution, Darknet53, scaled

HEAD_CHANNELS = (128, 256, 512)
"""Of the narrow convolutions of the heads, by stride."""
BOX, SCORE = slice(0, 4), 4
"""Columns of a prediction: tx, ty, tw, th, and the logit of objectness."""


class Head(nn.Module):
    """Five convolutions, whose features the next finer head has too, and the predictions.

    Args:
        inside: channels of the input.
        channels: of the 1x1 convolutions; the 3x3 ones between them have twice as many.
        values: of one prediction.
    """

    def __init__(self, inside: int, channels: int, values: int):
        super().__init__()
        wide = 2 * channels
        self.features = nn.Sequential(
            Convolution(inside, channels, 1),
            Convolution(channels, wide, 3), Convolution(wide, channels, 1),
            Convolution(channels, wide, 3), Convolution(wide, channels, 1),
        )  # fmt: skip
        self.last = Convolution(channels, wide, 3)
        self.predict = nn.Conv2d(wide, PER_CELL * values, 1)
        self.values = values

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features ``[N, channels, H, W]`` and predictions ``[N, 3 * H * W, values]`` in fp32."""
        features = self.features(x)
        last = self.last(features)
        with torch.autocast(x.device.type, enabled=False):
            raw = self.predict(last.float())
        return features, raw.permute(0, 2, 3, 1).reshape(len(x), -1, self.values)


class YOLOv3(nn.Module):
    """Slices to raw predictions of all anchors of all cells, in the order of `AnchorGrid`.

    Args:
        width, depth: multiples of the paper's; see `YOLOv3Config`.
        classes: with one, a prediction has five values; with more, a logit of each class besides.
    """

    def __init__(self, width: float = 1.0, depth: float = 1.0, classes: int = 1):
        super().__init__()
        self.trunk = Darknet53(width, depth)
        values = SCORE + 1 + (classes if classes > 1 else 0)
        channels = [scaled(count, width) for count in HEAD_CHANNELS]
        lateral = [count // 2 for count in channels[1:]]
        inside = [own + more for own, more in zip(self.trunk.channels, [*lateral, 0], strict=True)]
        self.heads = nn.ModuleList(map(Head, inside, channels, [values] * len(STRIDES)))
        self.laterals = nn.ModuleList(
            Convolution(2 * count, count, 1) for count in lateral
        )  # from each head to the next finer one

    def forward(self, images: Tensor) -> Tensor:
        """Predictions ``[N, P, values]`` in fp32: tx, ty, tw, th, logit of objectness.

        Args:
            images: float ``[N, 1, S, S]`` in [-1, 1], S a multiple of 32.
        """
        fine, middle, coarse = self.trunk(images.contiguous(memory_format=torch.channels_last))
        features, from_coarse = self.heads[2](coarse)
        features, from_middle = self.heads[1](self._joined(self.laterals[1](features), middle))
        _, from_fine = self.heads[0](self._joined(self.laterals[0](features), fine))
        return torch.cat([from_fine, from_middle, from_coarse], 1)

    @staticmethod
    def _joined(coarse: Tensor, fine: Tensor) -> Tensor:
        return torch.cat([F.interpolate(coarse, scale_factor=2), fine], 1)
