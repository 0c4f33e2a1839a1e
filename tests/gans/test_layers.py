"""Layers against closed forms and slow versions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pathogan_core.errors import PathoganError
from pathogan_core.gans.layers import (
    HE_GAIN,
    EqualisedConv2d,
    EqualisedLinear,
    MinibatchStdDev,
    downsample,
    fade,
    pixel_norm,
    upsample,
)
from pathogan_core.training.distribution import Distribution


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_equalised_layers_are_plain_layers_with_scaled_weights_and_a_bias_as_it_is():
    conv, dense = EqualisedConv2d(3, 5, 3, padding=1), EqualisedLinear(7, 2, gain=1.0)
    for layer in (conv, dense):
        assert not layer.bias.any()
        torch.nn.init.normal_(layer.bias)
    x, z = normal(2, 3, 6, 6), normal(4, 7)
    expected = F.conv2d(x, conv.weight * math.sqrt(2 / 27), padding=1) + conv.bias[:, None, None]
    torch.testing.assert_close(conv(x), expected)
    torch.testing.assert_close(dense(z), z @ (dense.weight / math.sqrt(7)).T + dense.bias)


@pytest.mark.parametrize(("inside", "outside", "kernel", "padding", "size"), [
    (64, 64, 3, 1, 4), (64, 32, 3, 1, 32), (1, 64, 1, 0, 16), (32, 64, 4, 0, 4), (96, 48, 4, 3, 1),
])  # fmt: skip
def test_variance_is_the_squared_gain_times_the_taps_that_meet_the_image(
    inside, outside, kernel, padding, size
):
    torch.manual_seed(0)
    layer = EqualisedConv2d(inside, outside, kernel, padding)
    assert layer.weight.std().item() == pytest.approx(1, abs=5 / math.sqrt(layer.weight.numel()))
    x = normal(32, inside, size, size, seed=1)
    ones = torch.ones(1, 1, size, size)
    taps = F.conv2d(ones, torch.ones(1, 1, kernel, kernel), padding=padding).mean() / kernel**2
    spread = 5 * math.sqrt(2 / min(layer.weight.numel(), x.numel()))
    expected = HE_GAIN**2 * taps.item()
    assert layer(x).square().mean().item() == pytest.approx(expected, rel=spread)
    activated = F.leaky_relu(layer(x), 0.2).square().mean().item()
    assert activated == pytest.approx(1.04 * taps.item(), rel=spread)


def test_pixel_norm_against_a_loop_and_whatever_the_scale():
    x = normal(2, 5, 3, 4)
    slow = torch.empty_like(x)
    for n, h, w in np.ndindex(2, 3, 4):
        vector = x[n, :, h, w]
        slow[n, :, h, w] = vector / vector.norm() * math.sqrt(5)
    torch.testing.assert_close(pixel_norm(x), slow)
    torch.testing.assert_close(pixel_norm(1000 * x), slow)
    assert pixel_norm(torch.zeros(1, 5, 1, 1)).eq(0).all()


def test_pixel_norm_is_computed_in_fp32_and_keeps_the_type():
    x = normal(2, 64, 3, 3).bfloat16()
    assert pixel_norm(x).dtype == torch.bfloat16
    assert torch.equal(pixel_norm(x), pixel_norm(x.float()).bfloat16())


@pytest.mark.parametrize(("count", "group"), [(8, 4), (6, 2), (4, 4), (3, 1)])
def test_minibatch_deviation_against_a_loop(count, group):
    x = normal(count, 3, 2, 5)
    made = MinibatchStdDev(group)(x)
    assert torch.equal(made[:, :3], x)
    for i in range(count):
        others = [x[j].numpy() for j in range(count) if (j - i) % (count // group) == 0]
        assert len(others) == group
        expected = np.sqrt(np.var(others, axis=0) + 1e-8).mean()
        np.testing.assert_allclose(made[i, 3].numpy(), expected, rtol=1e-5)


def test_minibatch_deviation_of_identical_images_is_zero_with_finite_slopes_of_slopes():
    x = normal(1, 3, 4, 4).repeat(4, 1, 1, 1).requires_grad_()
    channel = MinibatchStdDev(4)(x)[:, 3]
    torch.testing.assert_close(channel, torch.full_like(channel, 1e-4))  # the root of eps
    (slope,) = torch.autograd.grad(channel.sum(), x, create_graph=True)
    (curvature,) = torch.autograd.grad((slope - 1).square().sum(), x)
    assert slope.isfinite().all()
    assert curvature.isfinite().all()


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_form_the_groups_that_one_device_forms(world):
    x, layer = normal(16, 3, 4, 4), MinibatchStdDev(4)
    whole = layer(x)
    for rank in range(world):
        share = Distribution(rank, world).share
        torch.testing.assert_close(layer(share(x)), share(whole))


def test_a_batch_of_broken_groups_is_one_line():
    with pytest.raises(PathoganError, match=r"stddev_group: a batch of 6 is no multiple .* of 4"):
        MinibatchStdDev(4)(normal(6, 3, 4, 4))


def test_halving_is_the_area_mean_and_undoes_doubling():
    x = normal(2, 3, 8, 8)
    blocks = x.numpy().reshape(2, 3, 2, 4, 2, 4).mean((3, 5))
    np.testing.assert_allclose(downsample(x, 4).numpy(), blocks, atol=1e-6)
    assert torch.equal(downsample(upsample(x)), x)
    assert torch.equal(upsample(x)[:, :, 1::2, ::2], x)


def test_a_fade_is_exact_at_its_ends_also_for_numbers_of_very_different_size():
    old, new = torch.tensor([1e8, -3.0, 1e-8]), torch.tensor([1e-3, 7.0, 1e8])
    for begin, end in ((0.0, 1.0), (torch.tensor(0.0), torch.tensor(1.0))):
        assert torch.equal(fade(old, new, begin), old)
        assert torch.equal(fade(old, new, end), new)
    assert fade(torch.zeros(1), torch.ones(1).bfloat16(), 0.3).item() == pytest.approx(0.3)
