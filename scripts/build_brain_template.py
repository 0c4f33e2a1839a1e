"""Build `pathogan_core/cohorts/brain_template.npz` from the ICBM-152 maps that nilearn ships.

Run once, on a machine with the `data` extra installed; the result is committed so that simulating
needs only numpy and scipy. The maps are exactly left-right symmetric, so one half is kept.

    python scripts/build_brain_template.py

What is derived, on the left half (first column = midline), axes [z, y, x] in LPS, 1 mm:

- `grey`, `white`: tissue probabilities, 5 bits each;
- `sulcus`: distance to the middle sheet of the template's own sulci, in 1/4 mm, where an average
  brain still shows them (valleys of the white-matter map, found from its Hessian at 0.5 mm);
- `part`: 0 outside, 1 cerebral mantle, 2 deep structures, 3 cerebellum, 4 brainstem,
  5 ventricles;
- `depth`: distance below the smooth hull of a cerebral hemisphere (negative outside), every 2 mm,
  in 1/4 mm, stored as depth + 10 mm.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from nilearn import datasets
from scipy import ndimage

OUT = Path(__file__).resolve().parents[1] / "pathogan_core" / "cohorts" / "brain_template.npz"
BOX = (slice(0, 156), slice(18, 212), slice(98, 179))  # [z, y, x >= midline], LPS
ORIGIN = (-72.0, -80.0, 0.0)  # LPS millimetres (z, y, x) of voxel 0 in MNI space


def half_map(load) -> np.ndarray:
    """One nilearn map as [z, y, x] in LPS, cropped to the patient's left half."""
    ras = load(resolution=1).get_fdata(dtype=np.float32)
    return np.ascontiguousarray(ras.transpose(2, 1, 0)[:, ::-1, ::-1][BOX])


def coordinates(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Millimetres (superior, anterior, lateral) of every voxel in MNI space."""
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    return z + ORIGIN[0], -(y + ORIGIN[1]), x + ORIGIN[2]


def label_parts(t1: np.ndarray, grey: np.ndarray, white: np.ndarray) -> np.ndarray:
    """Parts of the brain, by a watershed on the dark gaps between hand-placed markers."""
    up, front, side = coordinates(t1.shape)
    brain, tissue = t1 > 0.2, grey + white
    markers = np.zeros(t1.shape, np.int16)
    cerebral = (
        ((white > 0.9) & (up > 0) & (side > 8) & brain)
        | ((white > 0.9) & (up > -25) & (front > -10))
        | ((side > 30) & (front > -25) & (up > -40) & (up < 0) & (white > 0.7))
        | ((side > 15) & (front < -75) & (up > -5) & (white > 0.6))
        | ((side > 48) & (up > -18) & (white > 0.6) & (front > -65))
    )
    lateral = (side > 6) & (side < 40) & (front < -50) & (front > -80) & (up < -28) & (up > -45)
    vermis = (side < 6) & (front < -52) & (front > -75) & (up < -15) & (up > -38)
    stem = (side < 9) & (front < -20) & (front > -33) & (up < -20) & (up > -42)
    medulla = (side < 5) & (front < -30) & (front > -42) & (up < -45)
    markers[cerebral] = 1
    markers[(lateral | vermis) & (tissue > 0.8)] = 2
    markers[stem | medulla] = 3
    markers[~brain] = 4
    bright = np.clip(ndimage.gaussian_filter(t1, 0.7), 0, 0.9) / 0.9
    flooded = ndimage.watershed_ift((255 * (1 - bright)).astype(np.uint8), markers)

    part = np.ones(t1.shape, np.uint8)
    part[(flooded == 2) & (up < 4) & (front < -30)] = 3  # not up the interhemispheric fissure
    part[(flooded == 3) & (up < -10) & (front < -6) & (side < 24)] = 4
    basal = (side < 35) & (front > -38) & (front < 26) & (up > -14) & (up < 28)
    basal &= ((side - 0) / 35.0) ** 2 + ((front + 6) / 34.0) ** 2 + ((up - 6) / 24.0) ** 2 < 1
    temporal = ((side - 24) / 13.0) ** 2 + ((front + 18) / 22.0) ** 2 + ((up + 17) / 10.0) ** 2 < 1
    callosum = (white > 0.5) & (side < 12) & (front > -44) & (front < 36) & (up > 0) & (up < 32)
    callosum &= ((front + 4) / 42.0) ** 2 + ((up - 2) / 29.0) ** 2 < 1
    part[(part == 1) & (basal | temporal | callosum)] = 2

    hollow = brain & (tissue < 0.55) & (t1 < 0.62)
    near = (side < 42) & (front > -72) & (front < 32) & (up > -20) & (up < 32)
    fissure = (side < 3) & ((up > 22) | (front < -42) | (front > 20))
    inside = ndimage.distance_transform_edt(ndimage.binary_closing(tissue > 0.5, iterations=6))
    ventricle = hollow & near & ~fissure & (inside > 9) & (side < 38)
    cells, _ = ndimage.label(ventricle)
    sizes = np.bincount(cells.ravel())
    sizes[0] = 0
    part[(cells == sizes.argmax()) & ~np.isin(part, (3, 4))] = 5
    part[(flooded == 4) | ~brain] = 0
    return part


def sulcal_distance(white: np.ndarray, cerebral: np.ndarray) -> np.ndarray:
    """Distance (mm) to the valleys of the white-matter map, at most 12 mm."""
    fine = ndimage.zoom(np.where(cerebral, white, 0), 2, order=3).astype(np.float32)
    fine = ndimage.gaussian_filter(fine, 2.2)
    slope = np.gradient(fine)
    hessian = np.stack([np.stack(np.gradient(s), -1) for s in slope], -1).reshape(-1, 3, 3)
    gradient = np.stack(slope, -1).reshape(-1, 3)
    valley = np.zeros(fine.size, bool)
    for start in range(0, fine.size, 1 << 20):
        some = slice(start, start + (1 << 20))
        values, vectors = np.linalg.eigh(hessian[some])
        across = np.abs((gradient[some] * vectors[:, :, 2]).sum(1))
        curvature = values[:, 2]
        valley[some] = (curvature > 0.003) & (across < 0.7 * curvature)
    valley = valley.reshape(fine.shape) & (fine < 0.6)
    cells, _ = ndimage.label(valley, np.ones((3, 3, 3)))
    valley &= np.bincount(cells.ravel())[cells] > 150
    distance = ndimage.distance_transform_edt(~valley, sampling=0.5)
    smooth = ndimage.gaussian_filter(np.minimum(distance, 12), 0.8)
    return np.asarray(ndimage.zoom(smooth, 0.5, order=1), np.float32)


def hull_depth(tissue: np.ndarray, cerebral: np.ndarray) -> np.ndarray:
    """Signed distance (mm) below the hull that closes a hemisphere's sulci, smoothed."""
    solid = np.pad((tissue > 0.5) & cerebral, 12)
    grown = ndimage.distance_transform_edt(~solid) < 7
    closed = ndimage.distance_transform_edt(grown) > 7
    closed = ndimage.binary_fill_holes(closed)
    depth = ndimage.distance_transform_edt(closed) - ndimage.distance_transform_edt(~closed)
    return ndimage.gaussian_filter(depth, 1.0)[12:-12, 12:-12, 12:-12]


def main() -> None:
    t1 = half_map(datasets.load_mni152_template)
    grey = half_map(datasets.load_mni152_gm_template)
    white = half_map(datasets.load_mni152_wm_template)
    part = label_parts(t1, grey, white)
    cerebral = np.isin(part, (1, 2, 5))
    sulcus = sulcal_distance(white, cerebral)
    depth = hull_depth(np.clip(grey + white, 0, 1), cerebral)
    np.savez_compressed(
        OUT,
        grey=np.round(np.clip(grey, 0, 1) * 31).astype(np.uint8),
        white=np.round(np.clip(white, 0, 1) * 31).astype(np.uint8),
        part=part,
        sulcus=np.round(np.clip(sulcus, 0, 8) * 4).astype(np.uint8),
        depth=np.round((np.clip(depth[::2, ::2, ::2], -10, 50) + 10) * 4).astype(np.uint8),
    )


if __name__ == "__main__":
    main()
