"""A patient's overall form: where each voxel lies in the average brain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pathogan_core.cohorts.brain_template import (
    CENTRE,
    BrainTemplate,
    RandomField,
    interpolate_axes,
)

SHAPE = (155, 240, 240)
"""Voxels [z, y, x] of every volume."""

Displacement = Callable[[np.ndarray], np.ndarray]
"""Maps patient positions [3, n] to the shift in mm that pulls tissue there."""


@dataclass(frozen=True)
class Shape:
    """A patient's warp: where each place of the box lies in the template.

    Everything that varies slowly is worked out every 2 mm and interpolated when it is needed.

    Attributes:
        box: the box's position in the volume.
        size: its extent in voxels.
        coarse: template voxel [3, z, y, x] of every second voxel of the box.
        ventricle_growth: mm by which the ventricles were widened.
    """

    box: tuple[slice, slice, slice]
    size: tuple[int, int, int]
    coarse: np.ndarray
    ventricle_growth: float

    def fine(self, values: np.ndarray) -> np.ndarray:
        """A coarse map at every voxel of the box."""
        return interpolate_axes(values, [np.arange(n, dtype=np.float32) / 2 for n in self.size])


def sample(field: np.ndarray, points: np.ndarray, step: float = 1.0) -> np.ndarray:
    """Trilinear value of a template map (one voxel every `step` mm) at template voxels."""
    where = points if step == 1 else points / np.float32(step)
    return ndimage.map_coordinates(field, where, order=1, mode="nearest")


def draw_shape(
    rng: np.random.Generator, template: BrainTemplate, age: float, push: Displacement | None
) -> Shape:
    """Draw the patient's warp; `push` adds the displacement of a growing tumour.

    Differs: nothing in the thesis; amplitudes are chosen so that heads look alike in size and
    unlike in form (standard deviations 3 mm at 60 mm scale and 1.4 mm at 20 mm scale).
    """
    scale = rng.normal([0.93, 0.95, 0.955], [0.012, 0.017, 0.017])
    tilt = rng.normal(0, [0.035, 0.03, 0.02])
    centre = np.array([75.0, 119.5, 119.5]) + rng.normal(0, [1.0, 2.0, 0.7])
    half = np.ceil(np.array([78, 101, 80]) * scale + 7).astype(int)
    low = np.maximum(np.round(centre).astype(int) - half, 0)
    high = np.minimum(np.round(centre).astype(int) + half, SHAPE)
    box = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
    size = (int(high[0] - low[0]), int(high[1] - low[1]), int(high[2] - low[2]))

    count = [n // 2 + 2 for n in size]
    axes = [a + 2 * np.arange(n, dtype=np.float32) for a, n in zip(low, count, strict=True)]
    position = np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)
    if push is not None:
        position -= push(position)
    position -= centre.astype(np.float32)[:, None, None, None]
    points = np.tensordot((small_rotation(tilt) / scale[:, None]).astype(np.float32), position, 1)
    points += CENTRE[:, None, None, None]
    grid = tuple(count)
    for axis in range(3):
        points[axis] += 3.0 * RandomField(rng, grid, 11).everywhere()
        points[axis] += 1.4 * RandomField(rng, grid, 4).everywhere()

    growth = float(np.clip(rng.normal(0.5 + 0.045 * (age - 52), 1.2), -1.4, 3.4))
    pull = np.float32(growth) * (1 + 0.35 * RandomField(rng, grid, 12.5).everywhere())
    pull *= np.exp(-np.clip(sample(template.ventricle, points, 2), 0, None) / 9)
    slope = [sample(template.ventricle_slope[axis], points, 2) for axis in range(3)]
    points -= pull * np.stack(slope)
    return Shape(box, size, points, growth)


def small_rotation(angles: np.ndarray) -> np.ndarray:
    """Rotation matrix on [z, y, x] from angles (rad) about x (nod), y (roll) and z (turn)."""
    matrix = np.eye(3)
    for (first, second), angle in zip(((0, 1), (0, 2), (1, 2)), angles, strict=True):
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix
