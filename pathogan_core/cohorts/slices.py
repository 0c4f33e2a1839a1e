"""From a brain volume to the 2D images of thesis sections 3.2.2 and 4.2.2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pathogan_core.errors import PathoganError


@dataclass(frozen=True)
class Plane:
    """How a volume `[z, y, x]` in LPS is cut, and which way up its slices are looked at.

    Attributes:
        axis: index into z, y, x of the axis along which slices are numbered.
        numbering: that axis in words.
        shown: orientation of the images in words.
        superior_up: whether the images' rows are z, which grows upwards on the page.
    """

    axis: int
    numbering: str
    shown: str
    superior_up: bool

    def cut(self, volume: np.ndarray, first: int, last: int) -> np.ndarray:
        """Slices `first .. last`, 0-based and both included: a view `[slices, rows, columns]`."""
        slices = np.moveaxis(volume, self.axis, 0)[first : last + 1]
        return slices[:, ::-1] if self.superior_up else slices

    def slice_shape(self, volume_shape: tuple[int, int, int]) -> tuple[int, int]:
        """Rows and columns of a slice of such a volume."""
        rows, columns = (n for axis, n in enumerate(volume_shape) if axis != self.axis)
        return rows, columns


PLANES: Mapping[str, Plane] = {
    "sagittal": Plane(
        2, "x of LPS, growing to the patient's left", "superior up, anterior left", True
    ),
    "axial": Plane(
        0, "z of LPS, growing to superior", "anterior up, the patient's right on the left", False
    ),
}


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


def fit_frame(images: np.ndarray, side: int) -> np.ndarray:
    """Centre `[N, rows, columns]` in `[N, side, side]`: add zeros where it is small, else crop.

    The scale does not change. Of an odd difference the larger half is at the bottom and the right,
    for adding as for cropping, so that cropping undoes adding.
    """
    spans = [_centred(length, side) for length in images.shape[1:]]
    framed = np.zeros((len(images), side, side), images.dtype)
    (to_rows, rows), (to_columns, columns) = spans
    framed[:, to_rows, to_columns] = images[:, rows, columns]
    return framed


def _centred(length: int, side: int) -> tuple[slice, slice]:
    """Where the shared middle of two lengths lies in `side`, and where in `length`."""
    shared = min(length, side)
    target, source = (side - shared) // 2, (length - shared) // 2
    return slice(target, target + shared), slice(source, source + shared)


def resize_area(images: np.ndarray, size: int) -> np.ndarray:
    """Shrink `[N, rows, columns]` to `[N, size, size]` by exact area averaging.

    Every output pixel is the mean of the input area that it covers, with fractional pixels weighted
    by their overlap: no aliasing, no ringing, and the image's mean is kept exactly. The
    aspect ratio is not: as in thesis section 3, 240x155 becomes a square. The thesis names no
    method.

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
