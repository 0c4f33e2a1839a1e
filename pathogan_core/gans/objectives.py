"""What the two players of a GAN want, as functions of the discriminator's answers.

Each returns the loss to minimise and the scalars worth logging. Answers are `[N]`, or a map of
patches `[N, 1, H, W]`: every one counts alike.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from pathogan_core.training.phases import Loss


def game_loss(real: Tensor, fake: Tensor) -> Loss:
    """Cross-entropy of the logits of real and of generated images (Goodfellow et al. 2014)."""
    loss = F.softplus(-real).mean() + F.softplus(fake).mean()
    return loss, {"real": real.sigmoid().mean(), "fake": fake.sigmoid().mean()}


def fooling_loss(fake: Tensor) -> Loss:
    """The non-saturating generator loss: maximise log D(G(z)) (Goodfellow et al. 2014)."""
    return F.softplus(-fake).mean(), {}


def critic_loss(real: Tensor, fake: Tensor) -> Loss:
    """The critic widens the gap E f(real) - E f(G(z)) (Arjovsky et al. 2017).

    Under the weight clip the best gap is at most K times the Wasserstein distance, with a K that
    nobody knows (the largest slope that clipped weights allow); a critic that lags gives less.
    """
    gap = real.mean() - fake.mean()
    return -gap, {"gap": gap}


def narrowing_loss(fake: Tensor) -> Loss:
    """The generator narrows the gap by raising E f(G(z)) (Arjovsky et al. 2017)."""
    return -fake.mean(), {}


def least_squares_loss(real: Tensor, fake: Tensor) -> Loss:
    """Answers of real images go to 1, those of generated ones to 0 (Mao et al. 2017)."""
    real, fake = real.float(), fake.float()
    loss = (real - 1).square().mean() + fake.square().mean()
    return loss, {"real": real.mean(), "fake": fake.mean()}


def least_squares_fooling_loss(fake: Tensor) -> Loss:
    """Answers of generated images go to 1 (Mao et al. 2017)."""
    return (fake.float() - 1).square().mean(), {}


def absolute_difference(x: Tensor, y: Tensor) -> Tensor:
    """Mean over all elements, in fp32: a sum would weigh large images more."""
    return (x.float() - y.float()).abs().mean()
