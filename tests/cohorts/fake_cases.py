"""Small stand-ins for scans, so that preparation is tested without files or a simulator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pathogan_core.cohorts.cases import SEQUENCES, TISSUES, LoadedCase

SHAPE = (20, 28, 24)


@dataclass(frozen=True)
class FakeCase:
    """A random ellipsoid brain in which every voxel has a label; `seed` decides every voxel."""

    scan: str
    patient: str
    grade: str = "HGG"
    seed: int = 0
    shape: tuple[int, int, int] = SHAPE

    def load(self) -> LoadedCase:
        volumes, labels = random_brain(self.seed, self.shape)
        tissues = {name: labels == i + 1 for i, name in enumerate(TISSUES)}
        return LoadedCase(volumes, tissues, (1.0, 1.0, 1.0))

    def content_hash(self) -> str:
        return f"fake-{self.seed}"


def random_brain(
    seed: int, shape: tuple[int, int, int] = SHAPE
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """int16 volumes of the four sequences and labels 0..4, all 0 outside an ellipsoid."""
    rng = np.random.default_rng(seed)
    z, y, x = np.ogrid[tuple(slice(-1, 1, n * 1j) for n in shape)]
    brain = z**2 + y**2 + x**2 < 0.9
    volumes = {n: (rng.integers(1, 1000, shape) * brain).astype(np.int16) for n in SEQUENCES}
    return volumes, (rng.integers(0, 5, shape) * brain).astype(np.int16)


def random_lesions(seed: int, shape: tuple[int, int, int] = SHAPE) -> dict[str, np.ndarray]:
    """A mask of each tissue: six small cuboids, of which the later cover the earlier."""
    rng = np.random.default_rng([seed, 1])
    labels = np.zeros(shape, np.int8)
    for number in rng.permutation([1, 2, 3, 4, 4, 4]):
        corner = rng.integers(4, np.array(shape) - 8)
        labels[tuple(slice(at, at + side) for at, side in zip(corner, (6, 3, 4), strict=True))] = (
            number
        )
    return {name: labels == i + 1 for i, name in enumerate(TISSUES)}
