"""Layers that more than one method uses."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation over the *whole* batch, also when ranks share it.

    Each rank normalising by its own few samples would make a run on two devices another method
    than on one. Statistics are all-reduced inside the graph, so gradients cross ranks too.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` to the same shape; fp32 statistics."""
        alone = not torch.distributed.is_initialized() or torch.distributed.get_world_size() == 1
        if alone or not self.training:
            return super().forward(x)
        world = torch.distributed.get_world_size()
        mean = all_reduce(x.float().mean((0, 2, 3))) / world
        centred = x.float() - mean[:, None, None]
        variance = all_reduce(centred.square().mean((0, 2, 3))) / world
        self._track(mean.detach(), variance.detach(), world * x.numel() // x.shape[1])
        normal = centred * (variance + self.eps).rsqrt()[:, None, None]
        return (normal * self.weight[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Running statistics, with the unbiased variance as torch keeps it."""
        assert self.momentum is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        self.num_batches_tracked.add_(1)
