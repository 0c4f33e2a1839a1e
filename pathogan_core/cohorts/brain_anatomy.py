"""One patient's healthy anatomy: own shape, own folds, own ventricles, crisp tissues.

The template is an average: symmetric, and blurred wherever brains differ. A patient is made from it
in three steps: the template is warped (overall shape, asymmetry, ventricle size, and whatever
displacement a tumour causes); sulci are laid where the template still shows them and, between
those, along zero surfaces of the patient's own random fields; grey and white matter then follow
from the distance to the nearest sulcus or outer surface, as a ribbon of cortical thickness.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pathogan_core.cohorts.brain_shape import Displacement, Shape, draw_shape, sample
from pathogan_core.cohorts.brain_template import (
    CENTRE,
    BrainTemplate,
    RandomField,
    interpolate_axes,
)

OWN_SULCI_REACH = 26.0
"""Depth in mm below which no sulcus of the patient's own is laid."""


@dataclass(frozen=True)
class Anatomy:
    """What fills each voxel of the patient's box, float32 [z, y, x] in [0, 1].

    Attributes:
        box: the box's position in the 155 x 240 x 240 volume.
        csf, grey, white: fractions of the voxel; they sum to 1 where `brain` is set.
        deep: share of the grey matter that is iron-rich deep nucleus.
        choroid, vein, artery, dura: extra fractions that enhance after contrast.
        brain: what a skull-stripping tool leaves, bool.
        depth: mm below the brain's surface (negative outside).
        ventricle: mm outside the ventricles.
        lateral: mm to the left of the midline (negative on the right).
        drawn: the numbers that were drawn, for the patient's description.
    """

    box: tuple[slice, slice, slice]
    csf: np.ndarray
    grey: np.ndarray
    white: np.ndarray
    deep: np.ndarray
    choroid: np.ndarray
    vein: np.ndarray
    artery: np.ndarray
    dura: np.ndarray
    brain: np.ndarray
    depth: np.ndarray
    ventricle: np.ndarray
    lateral: np.ndarray
    drawn: dict[str, float]


def sigmoid(value: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(value, -30, 30)))


def smooth_minimum(first: np.ndarray, second: np.ndarray, width: float) -> np.ndarray:
    """Minimum of two distances, rounded over `width` where they are close."""
    share = np.clip(0.5 + (second - first) / (4 * width), 0, 1)
    return second + share * (first - second) - 2 * width * share * (1 - share)


def own_sulci(
    rng: np.random.Generator,
    template: BrainTemplate,
    shape: Shape,
    inside: np.ndarray,
    depth: np.ndarray,
) -> np.ndarray:
    """Distance in mm to the patient's own sulci, at the voxels `inside` the brain.

    A sulcus is a sheet that starts at the surface and runs inward. The zero surface of a
    band-limited field becomes such a sheet when the field is read at the point of the hull above
    each voxel, so that it hardly changes with depth. Two fields, coarse and deep, fine and shallow,
    give branching folds of different depth.
    """
    surface = shape.coarse.copy()
    below = np.clip(sample(template.depth, shape.coarse, 2), -4, 16)
    grid = below.shape
    for axis in range(3):
        surface[axis] += 0.8 * below * sample(template.normal[axis], shape.coarse, 2)
        # Sheets are not flat: the point of the hull is shifted as one goes along.
        surface[axis] += 1.5 * RandomField(rng, grid, 3.5).everywhere()
    near = inside.copy()
    near[inside] = depth < OWN_SULCI_REACH
    points = np.stack([shape.fine(surface[axis])[near] for axis in range(3)])
    nearest = np.full(points.shape[1], 9.0, np.float32)
    for sigma, reach in ((6.5, 16.0), (4.6, 10.0)):
        value = np.zeros(shape.size, np.float32)
        value[near] = RandomField(rng, template.grey.shape, sigma, band=1.5).at(points)
        distance = np.abs(value[near]) / local_slope(value, 0.25 / sigma)[near]
        limit = reach * (1 + 0.35 * RandomField(rng, shape.size, 12).everywhere()[near])
        beyond = np.clip(depth[depth < OWN_SULCI_REACH] - limit, 0, None)
        nearest = np.minimum(nearest, np.hypot(distance, beyond))
    result = np.full(depth.shape, 9.0, np.float32)
    result[depth < OWN_SULCI_REACH] = nearest
    return result


def local_slope(values: np.ndarray, least: float) -> np.ndarray:
    """Length of the gradient per voxel, lightly smoothed, plus `least` to keep it off zero."""
    square = np.zeros_like(values)
    for axis in range(3):
        step = np.gradient(values, axis=axis)
        square += step * step
    return ndimage.gaussian_filter(np.sqrt(square), 1.0) + np.float32(least)


def draw_anatomy(
    rng: np.random.Generator,
    template: BrainTemplate,
    age: float,
    push: Displacement | None = None,
) -> Anatomy:
    """Draw one patient's healthy brain (displaced by `push`, if a tumour grows in it)."""
    shape = draw_shape(rng, template, age, push)
    size = shape.size
    inside = shape.fine(sample(template.inside, shape.coarse)) > 0.02
    points = np.stack([shape.fine(shape.coarse[axis])[inside] for axis in range(3)])
    depth, to_ventricle, below = (
        shape.fine(sample(field, shape.coarse, 2))[inside]
        for field in (template.depth, template.ventricle, template.cerebellar_depth)
    )
    atrophy = float(np.clip(rng.normal(0.012 * (age - 50), 0.25), -0.35, 0.8))

    def draw(sigma: float) -> np.ndarray:
        return RandomField(rng, size, sigma).everywhere()[inside]

    own = own_sulci(rng, template, shape, inside, depth)
    # Where the patient follows the average brain's folds, and where its own.
    follows = draw(15)
    shared = sample(template.sulcus, points) + 0.3 + 2.5 * np.clip(-follows - 0.3, 0, 2)
    own += 0.3 + 2.5 * np.clip(follows + 0.1, 0, 2)
    # Sulci gape where they reach the convexity; between the hemispheres they stay narrow.
    lateral = points[2] - CENTRE[2]
    convex = sigmoid((np.abs(lateral) - 9) / 2)
    opening = 0.6 + atrophy + 0.4 * draw(7) + 0.9 * convex * np.exp(-np.clip(depth, 0, None) / 5)
    rim = depth + 0.6 + 1.0 * (1 - convex)
    level = smooth_minimum(smooth_minimum(shared, own, 0.5), rim, 1.1)
    thickness = 2.5 + 0.25 * draw(12)
    csf_m = sigmoid((opening - level) / 0.3)
    white_m = sigmoid((level - opening - thickness) / 0.4)

    grey_t, white_t = sample(template.grey, points), sample(template.white, points)
    tissue_t = grey_t + white_t
    csf_t = sigmoid((0.55 - tissue_t) / 0.06)
    white_share = white_t / np.maximum(tissue_t, 0.05)
    white_t = (1 - csf_t) * sigmoid((white_share - 0.5 + 0.04 * draw(2)) / 0.11)

    hindbrain = sample(template.cerebellum, points)
    folia = folium_phase(points, draw(6))
    reach = 3.5 + 2.5 * draw(4)
    fissure = hindbrain * sigmoid((folia - 0.7) / 0.12) * sigmoid((reach - below) / 1.0)
    leaf = hindbrain * sigmoid((-folia - 0.3) / 0.2) * sigmoid((below - 2.0 - draw(4)) / 0.8)
    csf_t = np.maximum(csf_t, 0.45 * fissure)
    white_t = np.maximum(white_t, 0.4 * leaf) * (1 - csf_t)

    mantle = sample(template.mantle, points)
    csf = csf_t + mantle * (csf_m - csf_t)
    white = white_t + mantle * ((1 - csf_m) * white_m - white_t)
    filled = sigmoid((0.2 - to_ventricle) / 0.4) * (mantle < 0.98)
    csf, white = np.maximum(csf, filled), white * (1 - filled)
    grey = np.clip(1 - csf - white, 0, 1)

    def whole(values: np.ndarray, outside: float = 0.0) -> np.ndarray:
        volume = np.full(size, outside, np.float32)
        volume[inside] = values
        return volume

    solid = whole(1 - csf)
    brain = strip_skull(rng, solid, whole(depth, -10.0)) | (whole(to_ventricle, 30.0) < 1)
    core = 1 - mantle
    vein = surface_veins(rng, template, points, inside, own, shared, depth, csf)
    tube = sample(template.vessel, points + 1.1 * draw(4))
    open_space = ndimage.gaussian_filter(whole(csf, 1.0), 1.0)[inside]
    artery = sigmoid((0.1 + 0.35 * draw(9) - tube) / 0.35) * np.clip(4 * open_space - 0.6, 0, 1)
    plexus = sigmoid((0.3 + 0.9 * draw(2) - sample(template.choroid, points)) / 0.4) * (csf > 0.4)
    return Anatomy(
        box=shape.box,
        csf=whole(csf, 1.0),
        grey=whole(grey),
        white=whole(white),
        deep=whole(core * (1 - hindbrain) * sigmoid((depth - 14) / 2)),
        choroid=whole(plexus),
        vein=whole(vein),
        artery=whole(artery),
        dura=whole(dural_folds(rng, points, depth, hindbrain, draw)),
        brain=brain,
        depth=whole(depth, -10.0),
        ventricle=whole(to_ventricle, 30.0),
        lateral=whole(lateral),
        drawn={
            "age": round(age, 1),
            "ventricle_growth_mm": round(shape.ventricle_growth, 2),
            "sulcal_opening_mm": round(0.6 + atrophy, 2),
        },
    )


def folium_phase(points: np.ndarray, wobble: np.ndarray) -> np.ndarray:
    """Cosine of the position across cerebellar folia, which fan out from the fourth ventricle."""
    z, y = points[0] - 38, points[1] - 122
    side = points[2] - CENTRE[2]
    angle = np.arctan2(z + 0.006 * side * side, y)
    return np.cos(34 * angle + 4.0 * wobble)


def strip_skull(rng: np.random.Generator, solid: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """The mask a skull-stripping tool would leave: tissue, sulci below the hull, a rough edge."""
    rough = RandomField(rng, solid.shape, 2.2).everywhere()
    blurred = ndimage.gaussian_filter(solid, 1.6)
    mask = blurred + 0.06 * rough > rng.uniform(0.25, 0.4)
    mask |= close_gaps(solid > 0.5, rng.uniform(2.5, 5.5))
    mask |= depth + 0.8 * rough > rng.uniform(1.0, 2.5)
    cells, count = ndimage.label(mask)
    if count > 1:
        sizes = np.bincount(cells.ravel())
        sizes[0] = 0
        mask = cells == sizes.argmax()
    return ndimage.binary_fill_holes(mask)


def close_gaps(mask: np.ndarray, reach: float) -> np.ndarray:
    """Fill gaps up to twice `reach` mm wide between tissue, worked out on a 2 mm grid."""
    coarse = np.pad(mask[::2, ::2, ::2], 5, mode="edge")
    grown = ndimage.distance_transform_edt(~coarse) <= reach / 2
    closed = ndimage.distance_transform_edt(grown) > reach / 2
    inner = ndimage.gaussian_filter(closed[5:-5, 5:-5, 5:-5].astype(np.float32), 0.7)
    axes = [np.arange(n, dtype=np.float32) / 2 for n in mask.shape]
    return interpolate_axes(inner, axes) > 0.55


def surface_veins(
    rng: np.random.Generator,
    template: BrainTemplate,
    points: np.ndarray,
    inside: np.ndarray,
    own: np.ndarray,
    shared: np.ndarray,
    depth: np.ndarray,
    csf: np.ndarray,
) -> np.ndarray:
    """Veins as the curves in which a sulcal sheet, or the hull, meets another random surface."""
    value = RandomField(rng, template.grey.shape, 7, band=1.8)
    everywhere = np.zeros(inside.shape, np.float32)
    everywhere[inside] = value.at(points)
    across = np.abs(everywhere[inside]) / local_slope(everywhere, 0.04)[inside]
    sheet = np.minimum(np.minimum(own, np.clip(shared - 0.4, 0, None)), np.abs(depth - 0.3) + 0.5)
    calibre = 0.05 + 0.5 * RandomField(rng, inside.shape, 9).everywhere()[inside]
    return sigmoid((calibre - np.hypot(across, sheet)) / 0.3) * np.clip(csf * 1.6, 0, 1)


def dural_folds(
    rng: np.random.Generator,
    points: np.ndarray,
    depth: np.ndarray,
    hindbrain: np.ndarray,
    draw: Callable[[float], np.ndarray],
) -> np.ndarray:
    """Falx and tentorium: thin sheets with gaps, as left behind by skull stripping."""
    patchy = sigmoid((draw(9) + rng.uniform(-0.4, 0.8)) / 0.3)
    falx = sigmoid((0.55 - np.abs(points[2] - CENTRE[2])) / 0.3) * (points[0] > 84) * (depth < 8)
    border = 4 * hindbrain * (1 - hindbrain)
    roof = sigmoid((border - 0.75) / 0.1) * (points[0] > 40) * (depth > -3)
    return patchy * np.maximum(0.4 * falx, 0.7 * roof)
