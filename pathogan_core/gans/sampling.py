"""Images from a generator, a batch at a time."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from pathogan_core.training.randomness import derive_seed


def latent_stream(seed: int) -> np.random.Generator:
    """Where a sample's latents come from, one image after the other.

    NumPy's stream, unlike torch.randn's, begins alike whatever the count: image 3 stays image 3.
    """
    return np.random.default_rng(derive_seed(seed, "sample"))


def latents(count: int, latent: int, seed: int) -> Tensor:
    """The first latents of a seed's stream, ``[count, latent]``."""
    return torch.from_numpy(latent_stream(seed).standard_normal((count, latent), np.float32))


def sample(generator: nn.Module, count: int, latent: int, seed: int, batch: int = 256) -> Tensor:
    """`count` images, float ``[count, 1, S, S]`` on the CPU, not yet clipped."""
    return draw(generator, latents(count, latent, seed), batch)


@torch.no_grad()
def draw(generator: nn.Module, latents: Tensor, batch: int = 256, *conditions: Tensor) -> Tensor:
    """Images of given latents ``[N, latent]``: float ``[N, 1, S, ...]`` on the CPU, not clipped.

    A generator that is conditioned is given a row of each condition ``[N, ...]`` with each latent.

    Batch normalisation uses its running statistics: an image depends on its own latent only.
    """
    was_training = generator.training
    device = next(generator.parameters()).device
    generator.eval()
    parts = zip(*(tensor.split(batch) for tensor in (latents, *conditions)), strict=True)
    images = torch.cat(
        [generator(*(one.to(device) for one in part)).float().cpu() for part in parts]
    )
    generator.train(was_training)
    return images
