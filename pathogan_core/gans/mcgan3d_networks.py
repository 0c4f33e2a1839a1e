"""3D MCGAN's generator and two discriminators, and the box that a nodule is pasted into (6.2.1).

A volume of interest, VOI, is ``[N, 1, V, V, V]``; its centre, half as wide, is where nodules are.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pathogan_core.gans.convolution import twice_differentiable_convolution
from pathogan_core.gans.layers import BatchNorm3d
from pathogan_core.training.randomness import generator_for

SIZES = ("small", "medium", "large")
ATTENUATIONS = ("solid", "part_solid", "ggn")
CONDITIONS = len(SIZES) + len(ATTENUATIONS)


def centre(voi: Tensor) -> Tensor:
    """The middle half of each side: ``[..., V, V, V]`` to ``[..., V/2, V/2, V/2]``."""
    quarter = voi.shape[-1] // 4
    inner = slice(quarter, voi.shape[-1] - quarter)
    return voi[..., inner, inner, inner]


def pasted(nodule: Tensor, voi: Tensor) -> Tensor:
    """A VOI with `nodule` as its centre; every voxel outside is the VOI's own, bit for bit."""
    quarter = (voi.shape[-1] - nodule.shape[-1]) // 2
    inside = torch.zeros(voi.shape[-3:], dtype=torch.bool, device=voi.device)
    centre(inside).fill_(True)
    return torch.where(inside, F.pad(nodule.to(voi.dtype), [quarter] * 6), voi)


def condition_planes(labels: Tensor, size: int) -> Tensor:
    """Size and attenuation ``[N, 2]``, numbers in `SIZES` and `ATTENUATIONS`, as constant volumes.

    Returns:
        0 and 1, ``[N, 6, size, size, size]``.
    """
    told = [F.one_hot(labels[:, which], 3) for which in range(2)]
    flat = torch.cat(told, 1).float()[:, :, None, None, None]
    return flat.expand(-1, -1, size, size, size)


def draws(width: int, levels: int, voi_size: int, dropout: float, dropped: int) -> list[int]:
    """Uniform numbers that a nodule is drawn from: for its noise, then for each dropping."""
    found = [(voi_size // 2) ** 3]
    for number in range(min(dropped, levels - 1) if dropout else 0):
        deep = levels - 2 - number  # the convolution of the same size and width
        found.append(width * 2**deep * (voi_size >> (deep + 1)) ** 3)
    return found


class Generator(nn.Module):
    """Draws ``[N, K]``, VOI ``[N, 1, V, V, V]`` and labels ``[N, 2]`` to nodules, half as wide.

    The VOI's centre is replaced by noise; with the planes of the conditions it goes through a U-Net
    (Cicek et al. 2016) of strided convolutions, whose output's centre is the nodule, in [-1, 1].

    Args:
        width: channels of the first convolution; each further one has twice as many.
        levels: convolutions, and as many deconvolutions.
        voi_size: V.
        constant_box: the centre is filled with 0 instead of noise.
        dropout, dropped: share of features that is dropped, after so many of the deconvolutions.
        drop_when_drawing: in evaluation too.
    """

    def __init__(
        self,
        width: int,
        levels: int,
        voi_size: int,
        constant_box: bool = False,
        dropout: float = 0.5,
        dropped: int = 2,
        drop_when_drawing: bool = True,
    ):
        super().__init__()
        self.constant_box, self.dropout = constant_box, dropout
        self.drop_when_drawing = drop_when_drawing
        widths = [width * 2**level for level in range(levels)]
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv3d(inside, outside, 4, 2, 1, bias=False), BatchNorm3d(outside))
            for inside, outside in pairwise([1 + CONDITIONS, *widths])
        )
        self.up = nn.ModuleList()
        entering = widths[-1]
        for outside in reversed(widths[:-1]):
            layer = nn.ConvTranspose3d(entering, outside, 4, 2, 1, bias=False)
            self.up.append(nn.Sequential(layer, BatchNorm3d(outside)))
            entering = 2 * outside  # beside the convolution of this size
        self.to_image = nn.ConvTranspose3d(entering, 1, 4, 2, 1)
        self.drawn = draws(width, levels, voi_size, dropout, dropped)

    def noisy(self, uniform: Tensor, voi: Tensor) -> Tensor:
        """The VOI with noise from [-0.5, 0.5) as its centre: what the generator is given."""
        half = voi.shape[-1] // 2
        noise = uniform[:, : self.drawn[0]].reshape(-1, 1, half, half, half) - 0.5
        return pasted(torch.zeros_like(noise) if self.constant_box else noise, voi)

    def forward(self, uniform: Tensor, voi: Tensor, labels: Tensor) -> Tensor:
        _, *droppings = uniform.split(self.drawn, 1)
        x = torch.cat([self.noisy(uniform, voi), condition_planes(labels, voi.shape[-1])], 1)
        halved = []
        for layer in self.down:
            x = F.leaky_relu(layer(x), 0.2)
            halved.append(x)
        halved.pop()  # the deepest has nothing below it
        for number, layer in enumerate(self.up):
            x = F.relu(layer(x))
            if number < len(droppings) and (self.training or self.drop_when_drawing):
                kept = droppings[number].reshape(x.shape) >= self.dropout
                x = x * kept / (1 - self.dropout)
            x = torch.cat([x, halved.pop()], 1)
        return centre(self.to_image(x)).float().tanh()


class ContextDiscriminator(nn.Module):
    """A VOI, and the VOI with noise that it was made from, to answers by patch ``[N, 1, P, P, P]``.

    Three strided convolutions and two of stride 1, as in pix2pix. Instance normalisation (thesis
    silent): an answer does not depend on the other VOIs of the batch.

    Args:
        width: channels of the first convolution, doubled twice.
        paired: False: it sees the VOI alone.
    """

    def __init__(self, width: int, paired: bool = True):
        super().__init__()
        self.paired = paired
        widths = [width, 2 * width, 4 * width]
        self.first = nn.Conv3d(1 + paired, width, 4, 2, 1)
        self.further = nn.ModuleList(
            nn.Conv3d(inside, outside, 4, 2, 1, bias=False) for inside, outside in pairwise(widths)
        )
        self.answer = nn.Conv3d(widths[-1], 1, 4, 1, 1)

    def forward(self, voi: Tensor, noisy: Tensor) -> Tensor:
        x = torch.cat([voi, noisy], 1) if self.paired else voi
        x = F.leaky_relu(self.first(x), 0.2)
        for layer in self.further:
            x = F.leaky_relu(F.instance_norm(layer(x)), 0.2)
        return self.answer(x).float()


class CriticConv3d(nn.Conv3d):
    """A convolution in a critic whose slope is penalised."""

    def forward(self, x: Tensor) -> Tensor:
        """``[N, inside, D, H, W]`` to ``[N, outside, D', H', W']``."""
        padding, stride = int(self.padding[0]), self.stride[0]
        return twice_differentiable_convolution(x, self.weight, self.bias, padding, stride)


class NoduleDiscriminator(nn.Module):
    """Nodule ``[N, 1, R, R, R]`` and labels ``[N, 2]`` to the critic's value, fp32 ``[N]``.

    No normalisation over the batch: its slope is penalised sample by sample.

    Args:
        width: channels of the first convolution; each further one has twice as many.
        nodule_size: R; it is halved down to 4.
    """

    def __init__(self, width: int, nodule_size: int):
        super().__init__()
        halvings = nodule_size.bit_length() - 3
        widths = [1 + CONDITIONS, *(width * 2**level for level in range(halvings))]
        self.layers = nn.ModuleList(
            CriticConv3d(inside, outside, 4, 2, 1) for inside, outside in pairwise(widths)
        )
        self.value = nn.Linear(64 * widths[-1], 1)

    def forward(self, nodule: Tensor, labels: Tensor) -> Tensor:
        x = torch.cat([nodule, condition_planes(labels, nodule.shape[-1])], 1)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        with torch.autocast(x.device.type, enabled=False):
            return self.value(x.float().flatten(1))[:, 0]


def initialise(module: nn.Module, seed: int) -> None:
    """Weights N(0, 0.02), scales of normalisations N(1, 0.02), biases 0 (as in pix2pix)."""
    for name, parameter in module.named_parameters():
        generator = generator_for(seed, "initialise", type(module).__name__, name)
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        else:
            mean = 1.0 if parameter.ndim == 1 else 0.0
            nn.init.normal_(parameter, mean, 0.02, generator=generator)
