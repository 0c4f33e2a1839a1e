"""Darknet-53 against the paper's table 1, layer by layer."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pathogan_core.cad.darknet53 import Convolution, Darknet53, ResidualUnit, initialise

# Of table 1: channels, kernel size and stride of the first layer; then, of each stage, the layer
# that halves the resolution and how often (1x1, 3x3) follows.
FIRST = (32, 3, 1)
STAGES = [(64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)]


def table_1() -> list[tuple[int, int, int, int]]:
    """Inputs, outputs, kernel size and stride of all convolutions, in order."""
    layers, inside = [(1, *FIRST)], FIRST[0]
    for channels, units in STAGES:
        layers.append((inside, channels, 3, 2))
        layers += units * [(channels, channels // 2, 1, 1), (channels // 2, channels, 3, 1)]
        inside = channels
    return layers


def convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


def test_layers_are_those_of_the_table() -> None:
    found = [
        (conv.in_channels, conv.out_channels, conv.kernel_size[0], conv.stride[0])
        for conv in convolutions(Darknet53())
    ]
    assert found == table_1()
    assert len(found) == 52  # and one dense layer, which a detector leaves out: Darknet-53


def test_parameters_are_the_papers() -> None:
    """40,584,928 with three colours: the published 41,609,928 less 1,000 dense units."""
    grey = sum(p.numel() for p in Darknet53().parameters())
    assert grey == sum(i * o * k * k + 2 * o for i, o, k, _ in table_1())
    assert grey + 2 * 32 * 9 == 40_584_928 == 41_609_928 - 1_000 * (1024 + 1)


def test_maps_have_strides_8_16_32() -> None:
    maps = Darknet53(width=0.125, depth=0.1)(torch.zeros(2, 1, 64, 64))
    assert [tuple(m.shape) for m in maps] == [(2, 32, 8, 8), (2, 64, 4, 4), (2, 128, 2, 2)]


@pytest.mark.parametrize(
    ("width", "depth", "channels", "units"),
    [
        (0.25, 0.34, [8, 16, 32, 64, 128, 256], [1, 1, 3, 3, 1]),
        (0.01, 0.01, [2, 2, 2, 2, 6, 10], [1, 1, 1, 1, 1]),
        (1.0, 1.0, [32, 64, 128, 256, 512, 1024], [1, 2, 8, 8, 4]),
    ],
)
def test_multiples_leave_a_unit_in_each_stage(
    width: float, depth: float, channels: list[int], units: list[int]
) -> None:
    with torch.device("meta"):
        network = Darknet53(width, depth)
    heads = [network.stem, *(stage[0] for stage in network.stages)]
    assert [layer.conv.out_channels for layer in heads] == channels
    found = [sum(isinstance(m, ResidualUnit) for m in stage) for stage in network.stages]
    assert found == units


def test_a_layer_is_convolution_norm_and_leak_of_a_tenth() -> None:
    layer = Convolution(3, 4, 3, 2).eval()
    with torch.no_grad():
        layer.norm.weight.copy_(torch.tensor([1.0, 2.0, -1.0, 0.5]))
        layer.norm.bias.copy_(torch.tensor([0.0, 1.0, -1.0, 3.0]))
        layer.norm.running_mean.fill_(0.2)
        layer.norm.running_var.fill_(4.0)
        x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        y = (F.conv2d(x, layer.conv.weight, stride=2, padding=1) - 0.2) / (4 + 1e-5) ** 0.5
        y = y * layer.norm.weight[:, None, None] + layer.norm.bias[:, None, None]
        torch.testing.assert_close(layer(x), torch.where(y > 0, y, 0.1 * y))


def test_a_unit_adds_to_its_input() -> None:
    unit = ResidualUnit(4).eval()
    with torch.no_grad():
        unit.expand.norm.weight.zero_()
        unit.expand.norm.bias.fill_(0.75)
        x = torch.randn(1, 4, 5, 5)
        torch.testing.assert_close(unit(x), x + 0.75)


def test_initial_weights_keep_the_spread_and_are_a_function_of_the_seed() -> None:
    first, again, other = (Darknet53(0.5, 0.2) for _ in range(3))
    for network, seed in ((first, 1), (again, 1), (other, 2)):
        initialise(network, seed)
    for one, two, three in zip(*map(convolutions, (first, again, other)), strict=True):
        assert torch.equal(one.weight, two.weight)
        assert not torch.equal(one.weight, three.weight)
    wide = max(convolutions(first), key=lambda conv: conv.weight.numel())
    fan_in = wide.in_channels * 9
    assert wide.weight.std().item() == pytest.approx((2 / 1.01 / fan_in) ** 0.5, rel=0.01)
