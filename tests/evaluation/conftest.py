"""Pictures whose properties are known: smooth blobs, with a patient's images alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from pathogan_core.evaluation.features import FeatureNetwork

MakeImages = Callable[..., np.ndarray]


@pytest.fixture(scope="session")
def make_images() -> MakeImages:
    """uint8 `[n, size, size]` smooth noise; with `patients`, each patient shares most of it."""

    def make(
        n: int, *, seed: int, size: int = 64, blur: float = 3.0, patients: int | None = None
    ) -> np.ndarray:
        generator = np.random.default_rng(seed)
        noise = generator.standard_normal((n, size, size))
        if patients is not None:
            shared = generator.standard_normal((patients, size, size))
            noise = 0.5 * noise + shared[np.arange(n) % patients]
        smooth = gaussian_filter(noise, (0, blur, blur), mode="wrap")
        smooth /= smooth.std(axis=(1, 2), keepdims=True)
        return np.clip(128 + 50 * smooth, 0, 255).astype(np.uint8)

    return make


@pytest.fixture(scope="session")
def untrained_network() -> FeatureNetwork:
    """A feature network with random weights: enough for everything but what it has learnt."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return FeatureNetwork().eval()
