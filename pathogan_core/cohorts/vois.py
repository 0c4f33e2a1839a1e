"""Volumes of interest: cut out of a CT around a nodule, and put back into it (thesis 6.2.1).

Positions are scan-local millimetres (z, y, x): an index times the spacing. A VOI is a cube of
equal voxels whose middle is the position asked for.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from pathogan_core.errors import PathoganError

AIR_HU = -1000
"""What a VOI holds beyond the borders of its scan."""
Blending = Literal["replaced", "difference"]


def cut(
    volume: NDArray[np.int16],
    spacing: ArrayLike,
    centre_mm: ArrayLike,
    size: int = 64,
    voxel_mm: float = 1.0,
) -> NDArray[np.int16]:
    """The VOI ``[size, size, size]`` about a position, by linear interpolation.

    Points beyond the outermost voxels' centres are air: a nodule may lie at the scan's border.

    Args:
        volume: ``[z, y, x]`` in HU.
        spacing: of its voxels in mm, (z, y, x).
        centre_mm: scan-local mm, (z, y, x).
        voxel_mm: of the VOI. Thesis silent on whether VOIs have a fixed scale or that of their
            nodule; 1 mm is the study's.
    """
    steps = voxel_mm / np.asarray(spacing, float)
    begin = np.asarray(centre_mm, float) / np.asarray(spacing, float) - steps * (size - 1) / 2
    sampled = ndimage.affine_transform(
        volume, steps, begin, (size,) * 3, np.float32, order=1, mode="constant", cval=AIR_HU
    )
    return np.rint(sampled).astype(np.int16)


def put_back(
    volume: NDArray[np.int16],
    spacing: ArrayLike,
    nodule: NDArray[np.int16],
    centre_mm: ArrayLike,
    voxel_mm: float = 1.0,
    blending: Blending = "replaced",
    original: NDArray[np.int16] | None = None,
) -> NDArray[np.int16]:
    """The scan with a generated box in it, resampled to the scan's own voxels; a copy.

    Voxels whose centre lies outside the box stay as they are, bit for bit. Between the box's
    outermost voxels and its faces, half a voxel, the outermost ones go on.

    Args:
        volume, spacing, centre_mm, voxel_mm: as of `cut`.
        nodule: ``[R, R, R]`` in HU, cubic.
        blending: ``replaced`` (thesis: "we resample the resulting nodules to their original
            resolution and map back"), or what changed is added to the scan (``difference``), so
            that its noise, which no resampling keeps, is still there.
        original: what `cut` gave where the nodule was generated; needed for the difference.

    Raises:
        PathoganError: an unknown blending, or the difference to nothing.
    """
    if blending not in get_args(Blending):
        remedy = f"choose {' or '.join(get_args(Blending))}"
        raise PathoganError(f"is {blending!r}", where="blending", remedy=remedy)
    if blending == "difference" and (original is None or original.shape != nodule.shape):
        remedy = "give the VOI's own centre, of the same size"
        raise PathoganError("is not there", where="original", remedy=remedy)
    spacing, centre = np.asarray(spacing, float), np.asarray(centre_mm, float)
    half = len(nodule) * voxel_mm / 2
    first = np.ceil((centre - half) / spacing).astype(int).clip(0)
    # The last voxel centre below the upper face: the box is half-open, like its voxels.
    last = np.ceil((centre + half) / spacing).astype(int).clip(max=volume.shape)
    inside = tuple(slice(a, max(a, b)) for a, b in zip(first, last, strict=True))
    made = volume.copy()
    region = made[inside]
    if not region.size:
        return made
    begin = (first * spacing - centre) / voxel_mm + (len(nodule) - 1) / 2

    def resampled(box: NDArray) -> NDArray[np.float32]:
        steps = spacing / voxel_mm
        return ndimage.affine_transform(
            box.astype(np.float32), steps, begin, region.shape, order=1, mode="nearest"
        )

    if blending == "replaced":
        values = resampled(nodule)
    else:
        assert original is not None
        values = region + resampled(nodule.astype(np.float32) - original)
    limits = np.iinfo(np.int16)
    made[inside] = np.rint(values).clip(limits.min, limits.max).astype(np.int16)
    return made
