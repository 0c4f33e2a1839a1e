"""Penalties on a critic's slope."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor
) -> Tensor:
    """``(slope - 1)^2`` between real and generated samples (WGAN-GP, Gulrajani et al. 2017).

    The penalised points lie at ``fake + mix (real - fake)``, one number per sample.

    Args:
        critic: samples to one value each, ``[N, ...]`` to ``[N]``. Without batch normalisation:
            it would tie every sample's slope to all others.
        real, fake: float ``[N, ...]``, of the same shape: images, volumes.
        mix: ``[N]``, uniform on [0, 1).

    Returns:
        fp32 ``[N]``, one penalty per sample.
    """
    mix = mix.view(-1, *[1] * (real.ndim - 1))
    return (slopes(critic, torch.lerp(fake, real, mix)) - 1.0).square()


def slopes(critic: Callable[[Tensor], Tensor], points: Tensor, eps: float = 1e-12) -> Tensor:
    """Euclidean norm of the critic's gradient at each of `points`: ``[N, ...]`` to fp32 ``[N]``.

    Differentiable in the critic's weights, in `torch.compile(fullgraph=True)` too: a compiled
    region may hold `torch.func.vjp`, but not `torch.autograd.grad` with ``create_graph``.

    It is the gradient of the *sum* of values. Where the critic compares samples (minibatch standard
    deviation) that includes what a sample does to the values of others, as in Karras et al. (2018).

    Args:
        eps: under the root, which has no derivative at 0.
    """
    values, pull_back = torch.func.vjp(critic, points)  # type: ignore[misc]
    (gradient,) = pull_back(torch.ones_like(values))
    return (gradient.float().flatten(1).square().sum(1) + eps).sqrt()
