"""The convolution against finite differences, against `F.conv2d`, and in bfloat16 against fp32."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.utils._python_dispatch import TorchDispatchMode

from pathogan_core.gans import pggan
from pathogan_core.gans.convolution import twice_differentiable_convolution
from pathogan_core.gans.penalties import gradient_penalty

FORMATS = (torch.contiguous_format, torch.channels_last)
SHAPES = {  # batch, inside, outside, kernel, padding, size
    "of an image": (8, 1, 16, 1, 0, 8),
    "of features": (8, 16, 24, 3, 1, 8),
    "to one pixel": (4, 16, 16, 4, 0, 4),
    "of one pixel": (4, 12, 16, 4, 3, 1),
    "of a single sample": (1, 3, 5, 3, 0, 7),
}
GPU = pytest.param(
    "cuda",
    marks=[
        pytest.mark.gpu,
        pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    ],
)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def operands(batch: int, inside: int, outside: int, kernel: int, size: int) -> list[Tensor]:
    """Image, weight, bias."""
    return [
        normal(batch, inside, size, size),
        normal(outside, inside, kernel, kernel, seed=1),
        normal(outside, seed=2),
    ]


def conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None, padding: int = 0) -> Tensor:
    return F.conv2d(x, weight, bias, padding=padding)


def laid_out(tensors: list[Tensor], memory_format: torch.memory_format) -> list[Tensor]:
    return [t.to(memory_format=memory_format) if t.ndim == 4 else t for t in tensors]


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize(("kernel", "padding"), list(product((1, 3, 4), (0, 1))))
def test_first_and_second_derivatives_are_those_of_finite_differences(kernel, padding, with_bias):
    x, weight, bias = (t.double().requires_grad_() for t in operands(2, 3, 4, kernel, 5))
    inputs = (x, weight, bias if with_bias else None, padding)
    assert gradcheck(twice_differentiable_convolution, inputs)
    assert gradgradcheck(twice_differentiable_convolution, inputs)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("needed", [n for n in product((True, False), repeat=3) if any(n)])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_values_and_first_derivatives_are_bit_for_bit_those_of_conv2d(shape, needed, memory_format):
    *shape, padding, size = shape
    made = []
    for convolve in (conv2d, twice_differentiable_convolution):
        inputs = laid_out(operands(*shape, size), memory_format)
        wanted = [t.requires_grad_() for t, need in zip(inputs, needed, strict=True) if need]
        values = convolve(*inputs, padding)
        made.append([values, *torch.autograd.grad(values, wanted, normal(*values.shape, seed=3))])
    for theirs, ours in zip(*made, strict=True):
        assert torch.equal(ours, theirs)
        assert ours.stride() == theirs.stride()


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_second_derivatives_in_fp32_are_those_of_conv2d(shape, memory_format):
    *shape, padding, size = shape
    made = []
    for convolve in (conv2d, twice_differentiable_convolution):
        inputs = [t.requires_grad_() for t in laid_out(operands(*shape, size), memory_format)]
        values = convolve(*inputs, padding)
        grad = normal(*values.shape, seed=3).requires_grad_()
        first = torch.autograd.grad(values, inputs, grad, create_graph=True)
        twisted = sum((g * normal(*g.shape, seed=i)).sum() for i, g in enumerate(first, 4))
        made.append(torch.autograd.grad(twisted, [*inputs[:2], grad]))
    for theirs, ours in zip(*made, strict=True):
        scale = theirs.square().mean().sqrt().item()
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_under_autocast_it_is_conv2d_under_autocast(device):
    made = []
    for convolve in (conv2d, twice_differentiable_convolution):
        inputs = [t.to(device).requires_grad_() for t in operands(16, 16, 16, 3, 8)]
        with torch.autocast(device, torch.bfloat16):
            values = convolve(*inputs, 1)
            with torch.autocast(device, enabled=False):
                exact = convolve(*inputs, 1)
        grads = torch.autograd.grad(values.float().square().sum(), inputs)
        assert values.dtype == torch.bfloat16
        assert exact.dtype == torch.float32
        assert {g.dtype for g in grads} == {torch.float32}
        made.append([values, exact, *grads])
    for theirs, ours in zip(*made, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0 if device == "cpu" else 1e-2)


class Wanted(TorchDispatchMode):
    """Records which gradients (image, weight, bias) each backward convolution computes."""

    def __init__(self) -> None:
        super().__init__()
        self.masks: list[list[bool]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.convolution_backward.default:
            self.masks.append(list(args[-1]))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("needed", "masks"), [
    ((True, False, False), [[True, False, False]]),
    ((False, True, True), [[False, True, True]]),
    ((False, True, False), [[False, True, False]]),
    ((True, True, True), [[True, False, False], [False, True, True]]),
])  # fmt: skip
def test_only_gradients_that_are_needed_are_computed(needed, masks):
    inputs = [t.requires_grad_(n) for t, n in zip(operands(2, 3, 4, 3, 5), needed, strict=True)]
    values = twice_differentiable_convolution(*inputs, 1)
    with Wanted() as wanted:
        values.sum().backward()
    assert wanted.masks == masks


def test_a_slope_of_a_frozen_critic_needs_no_gradient_of_its_weights():
    """Neither within `torch.func.vjp` nor when the slope is differentiated by the image."""
    x, weight, bias = operands(2, 3, 4, 3, 5)
    x.requires_grad_()
    with Wanted() as wanted:
        _, pull_back = torch.func.vjp(
            lambda x: twice_differentiable_convolution(x, weight, bias, 1).square().sum((1, 2, 3)),
            x,
        )
        (slope,) = pull_back(torch.ones(2))
        slope.square().sum().backward()
    assert {tuple(mask) for mask in wanted.masks} == {(True, False, False)}


class Critic(nn.Module):
    """Two convolutions with a kink between them."""

    def __init__(self, convolve: Callable[..., Tensor] = twice_differentiable_convolution) -> None:
        super().__init__()
        self.convolve = convolve
        self.first = nn.Parameter(normal(16, 1, 3, 3) / 3)
        self.second = nn.Parameter(normal(16, 16, 3, 3, seed=1) / 12)
        self.bias = nn.Parameter(normal(16, seed=2))

    def forward(self, x: Tensor) -> Tensor:
        features = F.leaky_relu(self.convolve(x, self.first, self.bias, 1), 0.2)
        return self.convolve(features, self.second, None, 1).float().square().mean((1, 2, 3))


def points(batch: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Real and generated images, and how they are mixed."""
    real, fake = (normal(batch, 1, size, size, seed=seed) for seed in (0, 1))
    return real, fake, torch.linspace(0.1, 0.9, batch)


def gradient(critic: nn.Module, loss: Tensor) -> Tensor:
    """Of all weights, as one vector."""
    parameters = list(critic.parameters())
    grads = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
    return torch.cat([g.flatten() for g in grads])


def error(found: Tensor, exact: Tensor) -> float:
    return ((found - exact).norm() / exact.norm()).item()


def test_a_penalty_by_vjp_has_the_gradients_of_conv2d_in_every_weight():
    ours, theirs = Critic().double(), Critic(conv2d).double()
    grads = []
    for critic in (ours, theirs):
        points = normal(3, 1, 8, 8).double()
        _, pull_back = torch.func.vjp(critic, points)
        (slope,) = pull_back(torch.ones(3, dtype=torch.double))
        grads.append(gradient(critic, slope.square().sum()))
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize("batch", [4, 8, 16])
@pytest.mark.parametrize("memory_format", FORMATS)
def test_in_bf16_the_pggan_critics_penalty_has_the_gradients_of_fp32(batch, memory_format):
    """By `F.conv2d`, an AMX CPU is wrong by 0.3 to 0.6 at batches of 4 and 8; rounding is 0.05."""
    critic = pggan.Discriminator((32, 32, 32), stddev_group=4)
    pggan.initialise(critic, 0)
    critic.to(memory_format=memory_format)
    where = points(batch, size=16)
    exact = gradient(critic, gradient_penalty(critic, *where).mean())
    with torch.autocast("cpu", torch.bfloat16):
        loss = gradient_penalty(critic, *where).mean()
    assert 0 < error(gradient(critic, loss), exact) < 0.15


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("bf16", [False, True])
def test_a_compiled_penalty_has_the_gradients_of_an_eager_one(backend, bf16):
    critic, where = Critic(), points(batch=8, size=8)

    def loss(real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return gradient_penalty(critic, real, fake, mix).mean()

    compiled = torch.compile(loss, fullgraph=True, backend=backend)
    expected = gradient(critic, loss(*where))
    assert expected.norm() > 0
    assert error(gradient(critic, compiled(*where)), expected) < (0.02 if bf16 else 1e-5)


@pytest.mark.parametrize(("size", "kernel", "padding", "stride"), [(6, 4, 1, 2), (5, 3, 0, 2)])
@pytest.mark.parametrize("axes", [2, 3])
def test_so_they_are_along_three_axes_and_with_a_stride(axes, size, kernel, padding, stride):
    """Sizes that the stride divides, and a last row that it leaves over."""
    x = normal(2, 2, *[size] * axes).double().requires_grad_()
    weight = normal(3, 2, *[kernel] * axes, seed=1).double().requires_grad_()

    def convolved(x: Tensor, weight: Tensor) -> Tensor:
        return twice_differentiable_convolution(x, weight, None, padding, stride)

    plain = (F.conv2d, F.conv3d)[axes - 2](x, weight, padding=padding, stride=stride)
    assert torch.equal(convolved(x, weight), plain)
    assert gradcheck(convolved, (x, weight), fast_mode=True)
    assert gradgradcheck(convolved, (x, weight), fast_mode=True)
