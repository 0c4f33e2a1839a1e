"""From a brain volume to the sagittal images of thesis section 3.2.2."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pathogan_core.errors import PathoganError


def sagittal_slices(volume: np.ndarray, first: int, last: int) -> np.ndarray:
    """Slices `x = first .. last` (both included) as they are looked at.

    Args:
        volume: `[z, y, x]` in LPS, so that x grows to the patient's left.
        first: 0-based index of the slice nearest to the patient's right.
        last: 0-based index of the slice nearest to the patient's left.

    Returns:
        `[last - first + 1, z, y]`, superior up and anterior on the left; a view.
    """
    return volume[::-1, :, first : last + 1].transpose(2, 0, 1)


def normalise_intensity(volume: np.ndarray, white_percentile: float) -> np.ndarray:
    """Brain voxels to 0..255, from no signal to a percentile of themselves; background stays 0.

    The thesis does not say how it maps 16-bit MR intensities to images, which have no unit and
    differ between scanners by more than an order of magnitude. The percentile is taken over the
    whole brain, not over each slice: a slice's brightness then keeps its meaning within the scan.
    Black is zero signal, not a low percentile, which in T2 would be white matter.

    Args:
        volume: any shape; voxels that are exactly 0 are background (BRATS is skull-stripped).
            Where some are negative (a scan that somebody standardised), black is the lowest.
        white_percentile: in percent of the brain's voxels.

    Returns:
        float32 of the same shape, in 0..255.

    Raises:
        PathoganError: for non-finite voxels, an empty brain, or one of constant intensity.
    """
    if not np.isfinite(volume).all():
        raise PathoganError("has voxels that are not finite numbers")
    brain = volume != 0
    if not brain.any():
        raise PathoganError("is empty: every voxel is 0")
    intensities = volume[brain]
    if not intensities.max() > intensities.min():
        raise PathoganError("has constant intensity inside the brain")
    low = min(0.0, float(intensities.min()))
    high = np.percentile(intensities, white_percentile)
    if not high > low:
        raise PathoganError(f"has no signal at its {white_percentile:g}th percentile")
    scaled = (volume.astype(np.float32) - np.float32(low)) * np.float32(255.0 / (high - low))
    return np.where(brain, np.clip(scaled, 0.0, 255.0), np.float32(0.0))


def resize_area(images: np.ndarray, size: int) -> np.ndarray:
    """Shrink `[N, rows, columns]` to `[N, size, size]` by exact area averaging.

    Every output pixel is the mean of the input area that it covers, with fractional pixels weighted
    by their overlap: no aliasing, no ringing, and the image's mean is kept exactly. As in the
    thesis the aspect ratio is not (240x155 becomes a square). The thesis names no method.

    Raises:
        PathoganError: if `size` is larger than the images, which would invent detail.
    """
    rows, columns = images.shape[1:]
    if size > min(rows, columns):
        raise PathoganError(
            f"{rows}x{columns} images cannot be enlarged to {size}x{size}",
            where="sizes",
            remedy=f"choose at most {min(rows, columns)}",
        )
    return (
        overlap_weights(rows, size) @ images.astype(np.float32) @ overlap_weights(columns, size).T
    )


@lru_cache
def overlap_weights(source: int, target: int) -> np.ndarray:
    """Float32 `[target, source]`: the share of each source pixel in each (larger) target pixel."""
    width = source / target
    edges = np.arange(target + 1) * width
    pixel = np.arange(source)
    left = np.maximum(edges[:-1, None], pixel)
    right = np.minimum(edges[1:, None], pixel + 1)
    weights = np.clip(right - left, 0.0, None) / width
    weights.flags.writeable = False
    return weights.astype(np.float32)
