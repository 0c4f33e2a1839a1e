"""The average brain that every simulated patient starts from, and smooth random fields.

The committed file `brain_template.npz` holds one half of maps derived from the ICBM-152 non-linear
symmetric template (see `scripts/build_brain_template.py` and the notice beside the file). Here it
is mirrored, turned into floats, and completed with distances that are cheap to recompute.

Axes are [z, y, x] in LPS (x to the patient's left, y to posterior, z to superior), 1 mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy import ndimage

FILE = Path(__file__).with_name("brain_template.npz")
ORIGIN = np.array([-72.0, -80.0, -80.0], np.float32)
"""LPS millimetres [z, y, x] in MNI space of the mirrored template's first voxel."""

CENTRE = np.array([74.0, 96.0, 80.0], np.float32)
"""Template voxel [z, y, x] that lies in the middle of a patient's volume."""

# Arteries, veins and sinuses as poly-lines in MNI millimetres (side, anterior, superior) with a
# radius; those with side != 0 exist on both sides. Placed by hand from general anatomy.
VESSELS: tuple[tuple[float, tuple[tuple[float, float, float], ...]], ...] = (
    (
        1.1,
        ((2, -4, 11), (3, -18, 14), (2, -30, 11), (0, -38, 8), (0, -44, 10)),
    ),  # internal cerebral
    (1.2, ((0, -42, 9), (0, -52, 5), (0, -66, -1), (0, -80, -6), (0, -92, -9))),  # straight sinus
    (0.9, ((2, 8, -18), (2, 24, -14), (2, 36, -2), (2, 38, 10), (2, 28, 24), (2, 10, 33))),
    (0.7, ((2, 10, 33), (2, -10, 36), (2, -28, 33), (2, -42, 26))),  # pericallosal arteries
    (1.4, ((9, 2, -18), (18, 3, -17), (28, 3, -16), (36, 4, -12))),  # middle cerebral
    (1.1, ((36, 4, -12), (40, -4, 0), (41, -10, 10), (46, -14, 14), (56, -12, 16))),
    (1.1, ((36, 4, -12), (40, 10, -2), (39, 16, 6), (46, 20, 8))),
    (1.0, ((38, -2, -8), (41, -18, 2), (42, -28, 10), (48, -38, 16), (56, -42, 18))),
    (2.0, ((13, -2, -30), (12, 2, -24), (9, 2, -18))),  # internal carotid
    (1.5, ((0, -16, -24), (0, -15, -32), (0, -17, -44))),  # basilar
    (1.0, ((2, -16, -24), (12, -18, -18), (18, -28, -12), (18, -42, -6), (12, -60, -2))),
    (1.3, ((0, -94, -9), (14, -92, -17), (32, -84, -24), (46, -68, -30), (52, -52, -34))),
    (1.0, ((1, 68, 10), (1, 63, 32), (1, 45, 57), (1, 14, 75), (1, -16, 80), (1, -48, 77))),
    (
        1.3,
        ((1, -48, 77), (1, -72, 64), (1, -92, 40), (1, -103, 14), (0, -94, -9)),
    ),  # sagittal sinus
)
CHOROID: tuple[tuple[float, tuple[tuple[float, float, float], ...]], ...] = (
    (1.1, ((5, -2, 14), (8, -14, 17), (13, -26, 18), (19, -35, 14))),
    (3.0, ((21, -38, 9), (24, -41, 4))),
    (1.2, ((25, -40, 0), (30, -30, -10), (30, -20, -15))),
)


@dataclass(frozen=True)
class BrainTemplate:
    """Maps of the average brain, float32.

    Attributes:
        grey, white: tissue probabilities in [0, 1].
        sulcus: distance in mm to the middle of the template's own sulci, at most 8.
        mantle: 1 where the cortex is folded procedurally, 0 in deep structures, soft edge.
        cerebellum: 1 in the cerebellum, soft edge.
        inside: 1 where the template has brain (CSF in sulci and ventricles included).
        vessel, choroid: signed distance in mm to the wall of named vessels and choroid plexus,
            negative inside, at most 3.
        depth, ventricle, cerebellar_depth, normal: maps every 2 mm: depth below the hemispheric
            hull in mm, distance to the lateral and third ventricles in mm, depth below the surface
            of the cerebellum, and the outward direction ([3, z, y, x], unit length or shorter).
        ventricle_slope: gradient of `ventricle` per mm, [3, z, y, x], every 2 mm.
    """

    grey: np.ndarray
    white: np.ndarray
    sulcus: np.ndarray
    mantle: np.ndarray
    cerebellum: np.ndarray
    inside: np.ndarray
    vessel: np.ndarray
    choroid: np.ndarray
    depth: np.ndarray
    ventricle: np.ndarray
    cerebellar_depth: np.ndarray
    normal: np.ndarray
    ventricle_slope: np.ndarray


@lru_cache(maxsize=1)
def load_template() -> BrainTemplate:
    """Read, mirror and complete the template (about two seconds, once per process)."""
    with np.load(FILE) as half:
        maps = {name: mirror(half[name]) for name in half.files}
    part = maps["part"]
    depth = maps["depth"].astype(np.float32) / 4 - 10
    ventricle = signed_distance(part[::2, ::2, ::2] == 5, 2.0)
    return BrainTemplate(
        grey=maps["grey"].astype(np.float32) / 31,
        white=maps["white"].astype(np.float32) / 31,
        sulcus=maps["sulcus"].astype(np.float32) / 4,
        mantle=soft(part == 1, 1.2),
        cerebellum=soft(part == 3, 0.8),
        inside=soft(part > 0, 0.8),
        vessel=tube_distance(VESSELS, part.shape),
        choroid=tube_distance(CHOROID, part.shape),
        depth=depth,
        ventricle=ventricle,
        cerebellar_depth=-signed_distance(np.isin(part[::2, ::2, ::2], (3, 4)), 2.0),
        normal=-np.stack(np.gradient(ndimage.gaussian_filter(depth, 2.0), 2.0)),
        ventricle_slope=np.stack(np.gradient(ventricle, 2.0)),
    )


def mirror(half: np.ndarray) -> np.ndarray:
    """Both halves from the left one, whose first column is the midline."""
    return np.concatenate([half[:, :, :0:-1], half], axis=2)


def soft(mask: np.ndarray, sigma: float) -> np.ndarray:
    return ndimage.gaussian_filter(mask.astype(np.float32), sigma)


def signed_distance(mask: np.ndarray, spacing: float) -> np.ndarray:
    """Distance in mm to the mask's surface, negative inside, lightly smoothed."""
    outside = ndimage.distance_transform_edt(~mask, sampling=spacing)
    inside = ndimage.distance_transform_edt(mask, sampling=spacing)
    return ndimage.gaussian_filter((outside - inside).astype(np.float32), 0.8)


def tube_distance(
    tubes: tuple[tuple[float, tuple[tuple[float, float, float], ...]], ...],
    shape: tuple[int, ...],
) -> np.ndarray:
    """Signed distance in mm to the nearest tube's wall, cut off at 3 mm."""
    result = np.full(shape, 3.0, np.float32)
    for radius, corners in tubes:
        for side in (-1.0, 1.0):
            line = np.array([(z, -y, side * x) for x, y, z in corners], np.float32) - ORIGIN
            for start, stop in pairwise(line):
                stamp_segment(result, start, stop, radius)
    return result


def stamp_segment(field: np.ndarray, start: np.ndarray, stop: np.ndarray, radius: float) -> None:
    """Lower `field` to the signed distance from one straight tube where that is smaller."""
    reach = radius + 3
    low = np.maximum(np.floor(np.minimum(start, stop) - reach).astype(int), 0)
    high = np.minimum(np.ceil(np.maximum(start, stop) + reach).astype(int) + 1, field.shape)
    if (low >= high).any():
        return
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    points = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in box), indexing="ij"), -1)
    along = stop - start
    share = np.clip(((points - start) @ along) / (along @ along), 0, 1)[..., None]
    distance = np.linalg.norm(points - (start + share * along), axis=-1) - radius
    field[box] = np.minimum(field[box], distance.astype(np.float32))


class RandomField:
    """A smooth Gaussian random field with zero mean and unit variance, kept on a coarse grid.

    Args:
        rng: source of randomness; one draw of the coarse grid is taken.
        shape: extent in voxels of the fine grid the field is defined on.
        sigma: correlation length in voxels (the noise is blurred by a Gaussian of this width).
        band: if given, a second Gaussian `band` times wider is subtracted, which leaves one
            dominant wavelength of about five `sigma`.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        shape: tuple[int, ...],
        sigma: float,
        band: float | None = None,
    ):
        self.step = max(sigma / 2.5, 1.0)
        self.shape = shape
        size = [int(np.ceil(n / self.step)) + 3 for n in shape]
        noise = rng.standard_normal(size, dtype=np.float32)
        field = ndimage.gaussian_filter(noise, sigma / self.step, mode="wrap", truncate=3.0)
        if band is not None:
            field -= ndimage.gaussian_filter(noise, band * sigma / self.step, mode="wrap")
        field -= field.mean()
        self.coarse = field / field.std()

    def everywhere(self) -> np.ndarray:
        """The field on the whole fine grid."""
        axes = [np.arange(n, dtype=np.float32) / self.step for n in self.shape]
        return interpolate_axes(self.coarse, axes)

    def at(self, points: np.ndarray) -> np.ndarray:
        """The field at voxel positions [3, ...], wrapped around at the border."""
        return ndimage.map_coordinates(
            self.coarse, points / np.float32(self.step), order=1, mode="grid-wrap"
        )


def interpolate_axes(coarse: np.ndarray, axes: list[np.ndarray]) -> np.ndarray:
    """Separable linear interpolation of a coarse grid at the given positions of each axis."""
    result = coarse
    for axis in range(coarse.ndim - 1, -1, -1):  # the first axis last: its rows are contiguous
        position = axes[axis]
        low = np.minimum(position.astype(np.intp), coarse.shape[axis] - 2)
        share = (position - low).astype(np.float32)
        share = share.reshape([-1 if a == axis else 1 for a in range(coarse.ndim)])
        first = np.take(result, low, axis)
        result = np.take(result, low + 1, axis)
        result -= first
        result *= share
        result += first
    return result
