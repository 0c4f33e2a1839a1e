"""Layers that more than one method uses."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from pathogan_core.errors import PathoganError
from pathogan_core.gans.convolution import twice_differentiable_convolution

HE_GAIN = math.sqrt(2.0)
"""Keeps the mean square of activations through layers with a (leaky) ReLU (He et al. 2015)."""


class _WholeBatch(nn.modules.batchnorm._BatchNorm):
    """Makes a batch normalisation one over the *whole* batch, also when ranks share it.

    Each rank normalising by its own few samples would make a run on two devices another method
    than on one. Statistics are all-reduced inside the graph, so gradients cross ranks too.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, ...]`` to the same shape; fp32 statistics."""
        alone = not torch.distributed.is_initialized() or torch.distributed.get_world_size() == 1
        if alone or not self.training:
            return super().forward(x)
        world = torch.distributed.get_world_size()
        others, along = (0, *range(2, x.ndim)), (-1, *[1] * (x.ndim - 2))
        mean = all_reduce(x.float().mean(others)) / world
        centred = x.float() - mean.view(along)
        variance = all_reduce(centred.square().mean(others)) / world
        self._track(mean.detach(), variance.detach(), world * x.numel() // x.shape[1])
        normal = centred * (variance + self.eps).rsqrt().view(along)
        return (normal * self.weight.view(along) + self.bias.view(along)).to(x.dtype)

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


class BatchNorm2d(_WholeBatch, nn.BatchNorm2d):
    """Of features ``[N, C, H, W]``."""


class BatchNorm3d(_WholeBatch, nn.BatchNorm3d):
    """Of features ``[N, C, D, H, W]``."""


class EqualisedConv2d(nn.Conv2d):
    """A convolution with equalised learning rate (Karras et al. 2018, section 4.1).

    Weights are stored as N(0, 1) and multiplied by He's constant, gain / sqrt(fan-in), whenever
    used. Adam's step does not depend on a gradient's scale: as all weights have the same spread,
    all layers learn equally fast. The bias begins at 0 and is not multiplied.

    A critic of these layers may be penalised for its slope (`penalties`).
    """

    def __init__(
        self, inside: int, outside: int, kernel_size: int, padding: int = 0, gain: float = HE_GAIN
    ):
        super().__init__(inside, outside, kernel_size, padding=padding)
        self.scale = gain / math.sqrt(inside * kernel_size**2)

    def reset_parameters(self) -> None:
        _standard_normal(self.weight, self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, inside, H, W]`` to ``[N, outside, H', W']``."""
        return twice_differentiable_convolution(
            x, self.weight * self.scale, self.bias, self.padding[0]
        )


class EqualisedLinear(nn.Linear):
    """A dense layer with equalised learning rate; see `EqualisedConv2d`."""

    def __init__(self, inside: int, outside: int, gain: float = HE_GAIN):
        super().__init__(inside, outside)
        self.scale = gain / math.sqrt(inside)

    def reset_parameters(self) -> None:
        _standard_normal(self.weight, self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, inside]`` to ``[N, outside]``."""
        return F.linear(x, self.weight * self.scale, self.bias)


def _standard_normal(weight: Tensor, bias: Tensor | None) -> None:
    nn.init.normal_(weight)
    if bias is not None:
        nn.init.zeros_(bias)


def pixel_norm(x: Tensor, eps: float = 1e-8) -> Tensor:
    """Divide the feature vector of each pixel by its root mean square (Karras et al. 2018, 4.2).

    ``[N, C, ...]`` to the same shape and type; computed in fp32.
    """
    wide = x.float()
    return (wide * (wide.square().mean(1, keepdim=True) + eps).rsqrt()).to(x.dtype)


class MinibatchStdDev(nn.Module):
    """One more channel: how much the samples of a group differ (Karras et al. 2018, section 3).

    The standard deviation over the group, of each feature at each place, is averaged to one number.
    Sample i of a batch of N is in a group with i + N/group, i + 2 N/group, ...: ranks that hold
    every W-th sample (`Distribution.share`) then form the same groups as one device does.

    Args:
        group: samples that are compared; the batch is a multiple of it.
    """

    def __init__(self, group: int):
        super().__init__()
        self.group = group

    def forward(self, x: Tensor, eps: float = 1e-8) -> Tensor:
        """``[N, C, H, W]`` to ``[N, C + 1, H, W]``; computed in fp32.

        `eps` under the root keeps the second derivative finite where a group's samples agree, as
        in an empty corner; the channel of identical images is therefore sqrt(eps), not 0.

        Raises:
            PathoganError: N is not a multiple of the group.
        """
        count, _, height, width = x.shape
        if count % self.group:
            raise PathoganError(
                f"a batch of {count} is no multiple of a group of {self.group}",
                where="stddev_group",
                remedy="change one of them",
            )
        groups = x.float().unflatten(0, (self.group, -1))
        deviation = (groups.var(0, correction=0) + eps).sqrt().mean((1, 2, 3))
        channel = deviation.repeat(self.group)[:, None, None, None].expand(-1, 1, height, width)
        return torch.cat([x, channel.to(x.dtype)], 1)


def upsample(x: Tensor) -> Tensor:
    """Each pixel becomes 2x2: ``[N, C, H, W]`` to ``[N, C, 2 H, 2 W]``."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def downsample(x: Tensor, factor: int = 2) -> Tensor:
    """Means of squares: ``[N, C, H, W]`` to ``[N, C, H / factor, W / factor]``."""
    return F.avg_pool2d(x, factor)


def fade(old: Tensor, new: Tensor, alpha: Tensor | float) -> Tensor:
    """``(1 - alpha) old + alpha new`` in fp32, exact at 0 and 1 (Karras et al. 2018, figure 2)."""
    return torch.lerp(old.float(), new.float(), alpha)


def adaptive_instance_norm(x: Tensor, mean: Tensor, deviation: Tensor, eps: float = 1e-5) -> Tensor:
    """Give each channel of each sample the mean and deviation asked for (Huang, Belongie 2017).

    `x` ``[N, C, H, W]``, `mean` and `deviation` ``[N, C]``; to the shape and type of `x`, computed
    in fp32. A negative `deviation` also inverts the channel; a constant channel becomes `mean`.
    """
    normal = F.instance_norm(x.float(), eps=eps)
    styled = normal * deviation.float()[:, :, None, None] + mean.float()[:, :, None, None]
    return styled.to(x.dtype)
