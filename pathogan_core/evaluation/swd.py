"""Sliced Wasserstein distance between patches of two image sets, scale by scale.

Source: Karras et al., "Progressive Growing of GANs" (ICLR 2018), section 5. Each image becomes a
Laplacian pyramid; at every level small patches of both sets are compared as two clouds of points,
by the mean one-dimensional Wasserstein distance over random directions. A coarse level tells
whether the anatomy's layout agrees, a fine one whether edges and noise do.

Each cloud is standardised by its own mean and deviation (as in the paper), so a set that differs
only in brightness or contrast scores zero: read it beside KID, which sees both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.images import Images, check_images, check_same_size

COARSEST = 16
"""Side in pixels of the coarsest level, as in the paper."""
PATCH = 7
PATCHES_PER_IMAGE = 128
DIRECTIONS = 512
SCALE = 1000
"""Distances are given in thousandths, as the paper prints them."""


@dataclass(frozen=True)
class SlicedWasserstein:
    """Distances in thousandths of a standard deviation, by level (side in pixels), finest first."""

    by_level: dict[int, float]
    n: int

    @property
    def mean(self) -> float:
        """The mean over levels, each counting alike."""
        return float(np.mean(list(self.by_level.values())))


def pyramid_levels(size: int) -> list[int]:
    """Sides in pixels of the pyramid's levels: halved while even and not below 16 px."""
    levels = [size]
    while levels[-1] % 2 == 0 and levels[-1] // 2 >= COARSEST:
        levels.append(levels[-1] // 2)
    return levels


def sliced_wasserstein(fake: Images, real: Images, *, seed: int) -> SlicedWasserstein:
    """Distance of `fake` from `real` (uint8 `[N, S, S]` each, S >= 16) at every level.

    Where the sets differ in number, the larger one is thinned at random: the estimate is biased
    upwards at small n, so only values at the same n may be compared.

    Differs: patch positions are drawn once per level and shared by all images, so that a set's
    distance from itself is exactly zero and does not depend on the images' order.

    Raises:
        PathoganError: images of another type or shape, of different sizes, or below 16 px.
    """
    check_images(fake, "generated")
    check_images(real, "real")
    check_same_size(fake, real, ("generated", "real"))
    if fake.shape[1] < COARSEST:
        raise PathoganError(f"SWD needs images of {COARSEST} px or more, got {fake.shape[1]} px")
    n = min(len(fake), len(real))
    fake, real = _thin(fake, n, seed), _thin(real, n, seed)
    distances = {}
    for level, fake_band, real_band in zip(
        pyramid_levels(fake.shape[1]),
        _laplacian_pyramid(fake),
        _laplacian_pyramid(real),
        strict=True,
    ):
        generator = np.random.default_rng([seed, level])
        positions = _draw_positions(level, generator)
        directions = _draw_directions(generator)
        distances[level] = SCALE * _mean_wasserstein(
            _descriptors(fake_band, positions), _descriptors(real_band, positions), directions
        )
    return SlicedWasserstein(distances, n)


def _thin(images: Images, n: int, seed: int) -> Images:
    if len(images) == n:
        return images
    chosen = np.random.default_rng(seed).choice(len(images), n, replace=False)
    return images[np.sort(chosen)]


def _laplacian_pyramid(images: Images) -> list[NDArray[np.float32]]:
    """Band-pass images, finest first, and the low-pass remainder last; each `[N, s, s]`."""
    current = images.astype(np.float32)
    bands = []
    for level in pyramid_levels(images.shape[1])[:-1]:
        blur = _blur_matrix(level)
        coarser = _along_both_axes(blur[::2], current)
        # Expanding puts zeros between the pixels, hence a gain of 2 along each axis.
        bands.append(current - _along_both_axes(2 * blur[:, ::2], coarser))
        current = coarser
    return [*bands, current]


def _blur_matrix(size: int) -> NDArray[np.float32]:
    """Burt and Adelson's 5-tap binomial filter with mirrored edges, as a matrix `[size, size]`."""
    mirrored = np.pad(np.eye(size), ((2, 2), (0, 0)), mode="reflect")
    taps = np.array([1, 4, 6, 4, 1]) / 16
    blur = sum(tap * mirrored[shift : shift + size] for shift, tap in enumerate(taps))
    return np.asarray(blur, np.float32)


def _along_both_axes(
    matrix: NDArray[np.float32], images: NDArray[np.float32]
) -> NDArray[np.float32]:
    """A separable linear filter `[t, s]` on images `[N, s, s]`, giving `[N, t, t]`."""
    return np.matmul(np.matmul(matrix, images), matrix.T)


def _draw_positions(level: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Indices into the level's patch grid, without repeats; all of them where there are few."""
    places = (level - PATCH + 1) ** 2
    return generator.permutation(places)[:PATCHES_PER_IMAGE]


def _draw_directions(generator: np.random.Generator) -> NDArray[np.float32]:
    """Unit vectors `[PATCH ** 2, DIRECTIONS]`, uniform on the sphere."""
    directions = generator.standard_normal((PATCH**2, DIRECTIONS))
    return (directions / np.linalg.norm(directions, axis=0)).astype(np.float32)


def _descriptors(band: NDArray[np.float32], positions: NDArray[np.int64]) -> NDArray[np.float32]:
    """Patches at `positions` of every image, `[N * positions, PATCH ** 2]`, standardised."""
    grid = np.lib.stride_tricks.sliding_window_view(band, (PATCH, PATCH), axis=(1, 2))
    rows, columns = np.unravel_index(positions, grid.shape[1:3])
    patches = grid[:, rows, columns].reshape(-1, PATCH**2)
    # float64 sums: with millions of values float32 would make the result depend on their order.
    mean, deviation = patches.mean(dtype=np.float64), patches.std(dtype=np.float64)
    return ((patches - mean) / max(deviation, 1e-8)).astype(np.float32)


def _mean_wasserstein(
    first: NDArray[np.float32], second: NDArray[np.float32], directions: NDArray[np.float32]
) -> float:
    """Mean over directions of the 1D Wasserstein-1 distance of two equally many points."""
    total = 0.0
    for chunk in np.split(directions.T, 8):  # bounds memory: N * 128 * 64 floats a side
        gaps = np.sort(chunk @ first.T, axis=1)
        gaps -= np.sort(chunk @ second.T, axis=1)
        total += float(np.abs(gaps, out=gaps).mean(dtype=np.float64))
    return total / 8
