"""Does a critic look at the condition? Real samples with their own condition and with others'."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from pathogan_core.training.phases import Loss

Critic = Callable[[Tensor, Tensor], Tensor]
"""Samples and their conditions to one value each, ``[N]``."""


def with_condition_gap(
    told: Loss, critic: Critic, real: Tensor, condition: Tensor, weight: float, name: str
) -> Loss:
    """A critic's loss with the gap of right and wrong conditions in its log.

    Args:
        told: the loss, and what is logged with it.
        real, condition: a batch and its conditions, ``[N, ...]``.
        weight: of `mismatch_loss` in the loss; at 0 the gap is told and does nothing.
        name: of the gap in the log.
    """
    loss, scalars = told
    with torch.set_grad_enabled(weight > 0):
        gaps = condition_gaps(critic, real, condition)
    return loss + weight * mismatch_loss(gaps), {**scalars, name: gaps.mean()}


def condition_gaps(critic: Critic, real: Tensor, condition: Tensor) -> Tensor:
    """How much higher real samples are valued with their own conditions than with others' ``[N]``.

    0 of a critic that does not look at conditions. Where neighbours in a batch have the same (two
    normal subjects without a box) there is nothing to tell apart, which lowers the mean.
    """
    return critic(real, condition) - critic(real, condition.roll(1, 0))


def mismatch_loss(gaps: Tensor) -> Tensor:
    """``log(1 + exp(-gap))``, averaged: it asks for a gap and is content with one of a few units.

    No penalty limits how fast the critic's value changes with the condition, so that a loss that is
    linear in the gap would never be content. Conditions of others as a third kind of example for a
    discriminator are an idea of Reed et al. (2016), there for captions.
    """
    return F.softplus(-gaps).mean()
