"""A convolution whose gradient can be differentiated again, also in bfloat16 on a CPU.

``sum(g * conv(x, w))`` is linear in each of g, x and w. Its gradients by g, by x and by w are the
three operations of ordinary training: the convolution itself, and its two gradients. Each is linear
in the other two tensors, so its own derivatives are again the other two operations: here they stand
as three functions that call each other, to any order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function


@torch.compiler.allow_in_graph  # Dynamo's own tracing loses the derivative of a derivative
def twice_differentiable_convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, padding: int = 0, stride: int = 1
) -> Tensor:
    """`F.conv2d` or `F.conv3d` for critics whose slope is penalised.

    PyTorch differentiates a convolution's gradient by a convolution with batch and channels
    swapped. In bfloat16 on CPUs with AMX, torch 2.14 (oneDNN 3.12) gets that wrong where the batch
    is even and 4 to 14. Here nothing is swapped; values and first derivatives are
    theirs, bit for bit. Autocast, `torch.func.vjp` and `torch.compile` apply as to them.

    Args:
        x: ``[N, inside, H, W]``, or ``[N, inside, D, H, W]``.
        weight: ``[outside, inside, K, L]``, or with a third size.
        bias: ``[outside]``.
        padding: zeros on all sides, in pixels.
        stride: pixels from one answer to the next.

    Returns:
        ``[N, outside, H', W']`` or ``[N, outside, D', H', W']``, in the usual memory format.
    """
    device = x.device.type
    if torch.is_autocast_enabled(device):  # it casts for `F.conv2d`, but not for what is under it
        dtype = torch.get_autocast_dtype(device)
        x, weight = x.to(dtype), weight.to(dtype)
        bias = None if bias is None else bias.to(dtype)
    return _Convolution.apply(x, weight, bias, Geometry(x.ndim - 2, padding, stride))


class Geometry(NamedTuple):
    """Of a convolution over so many axes, with the same padding and stride along each."""

    axes: int
    padding: int
    stride: int

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Stride, padding, dilation; not transposed, output padding, groups."""
        axes = self.axes
        return [self.stride] * axes, [self.padding] * axes, [1] * axes, False, [0] * axes, 1


class _Convolution(Function):
    """By `x` and `weight`; a bias is added on the way."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
        return torch.convolution(x, weight, bias, *geometry.arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        x, weight, _, ctx.geometry = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        by_x = by_weight = by_bias = None
        x_wanted, weight_wanted, bias_wanted, _ = ctx.needs_input_grad
        if x_wanted:
            by_x = _ImageGradient.apply(grad, x, weight, ctx.geometry)
        if weight_wanted or bias_wanted:
            by_weight, by_bias = _WeightGradient.apply(grad, x, weight, ctx.geometry, bias_wanted)
        return by_x, by_weight, by_bias, None


class _ImageGradient(Function):
    """By `grad` and `weight`; `x` lends its shape and memory format."""

    @staticmethod
    def forward(grad: Tensor, x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
        return _gradients(grad, x, weight, geometry, [True, False, False])[0]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        grad, _, weight, ctx.geometry = inputs
        ctx.save_for_backward(grad, weight)

    @staticmethod
    def backward(ctx: Any, x: Tensor) -> tuple[Tensor | None, ...]:
        grad, weight = ctx.saved_tensors
        by_grad = by_weight = None
        grad_wanted, _, weight_wanted, _ = ctx.needs_input_grad
        if grad_wanted:
            by_grad = _Convolution.apply(x, weight, None, ctx.geometry)
        if weight_wanted:
            by_weight, _ = _WeightGradient.apply(grad, x, weight, ctx.geometry, False)
        return by_grad, None, by_weight, None


class _WeightGradient(Function):
    """By `grad` and `x`, with the gradient by a bias where asked for; `weight` lends its shape."""

    @staticmethod
    def forward(
        grad: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, with_bias: bool
    ) -> tuple[Tensor, Tensor | None]:
        _, by_weight, by_bias = _gradients(grad, x, weight, geometry, [False, True, with_bias])
        return by_weight, by_bias

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        grad, x, _, ctx.geometry, _ = inputs
        ctx.save_for_backward(grad, x)

    @staticmethod
    def backward(ctx: Any, weight: Tensor, bias: Tensor | None) -> tuple[Tensor | None, ...]:
        grad, x = ctx.saved_tensors
        by_grad = by_x = None
        grad_wanted, x_wanted, *_ = ctx.needs_input_grad
        if grad_wanted:
            by_grad = _Convolution.apply(x, weight, bias, ctx.geometry)
        if x_wanted:
            by_x = _ImageGradient.apply(grad, x, weight, ctx.geometry)
        return by_grad, by_x, None, None, None


def _gradients(
    grad: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, wanted: list[bool]
) -> list[Any]:
    """By image, by weight and by bias: a tensor each, None where it is not wanted."""
    bias_sizes = [weight.shape[0]]
    return torch.ops.aten.convolution_backward(
        grad, x, weight, bias_sizes, *geometry.arguments, wanted
    )
