"""An exponential moving average of a generator, counted in images."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class MovingAverage:
    """Averaged copy of `module`; its `module` attribute is what one samples from.

    The decay is given as a half-life in images (Karras et al. 2020, StyleGAN2-ADA), so that it
    means the same at every batch size. Parameters are averaged; buffers (batch-norm statistics)
    are running averages already and are copied.
    """

    def __init__(self, module: nn.Module, half_life_images: float):
        if half_life_images <= 0:
            raise ValueError(f"half_life_images must be positive, got {half_life_images}")
        self.half_life_images = half_life_images
        self.module = copy.deepcopy(module).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, module: nn.Module, images: int) -> None:
        """Move towards `module` by ``1 - 2**(-images / half_life_images)``."""
        weight = 1.0 - 0.5 ** (images / self.half_life_images)
        averaged: list[Tensor] = list(self.module.parameters())
        torch._foreach_lerp_(averaged, [p.detach() for p in module.parameters()], weight)
        for target, source in zip(self.module.buffers(), module.buffers(), strict=True):
            target.copy_(source)
