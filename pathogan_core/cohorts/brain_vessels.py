"""What else is bright after contrast: vessels of the sulci in cross-section, the falx.

A search for metastases is hard because these are as bright and as large as small metastases. The
gliomas' anatomy has few of them, and stays as it is; this adds them for one patient.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from pathogan_core.cohorts.brain_anatomy import Anatomy, sigmoid
from pathogan_core.cohorts.brain_template import RandomField, interpolate_axes

COURSE = 5.0
"""Correlation length in mm of a vessel's way; about one in 12 COURSE² mm² crosses a slice."""

STEEPNESS = 3
"""How many times longer vessels run along z than across it, so that axial slices cut them."""


def with_enhancing_vessels(rng: np.random.Generator, anatomy: Anatomy) -> Anatomy:
    """The anatomy with small vessels in its sulci and a falx that enhances in more places."""
    vessel = sulcal_vessels(rng, anatomy)
    return replace(
        anatomy,
        vein=np.maximum(anatomy.vein, vessel),
        dura=np.clip(rng.uniform(1.0, 2.2) * anatomy.dura, 0, 1),
    )


def sulcal_vessels(rng: np.random.Generator, anatomy: Anatomy) -> np.ndarray:
    """Share of each voxel taken by small vessels, float32 in [0, 1].

    Vessels are the lines in which the zero surfaces of two random fields meet, as far as they run
    in or beside a sulcus, outside the ventricles.
    """
    size = anatomy.csf.shape
    squeezed = (size[0] // STEEPNESS + 2, size[1], size[2])
    axes = [np.arange(n, dtype=np.float32) for n in size]
    axes[0] /= STEEPNESS
    square = np.zeros(size, np.float32)
    for _ in range(2):
        field = RandomField(rng, squeezed, COURSE)
        value = interpolate_axes(field.coarse, [a / np.float32(field.step) for a in axes])
        square += value * value
    # A field of unit variance changes by about 1 / COURSE per mm.
    distance = COURSE * np.sqrt(square)
    calibre = 0.75 + 0.45 * RandomField(rng, size, 9).everywhere()
    near = ndimage.gaussian_filter(anatomy.csf, 1.0)
    room = np.clip(5 * near - 0.7, 0, 1) * (anatomy.ventricle > 3) * (anatomy.depth > 1)
    return (sigmoid((calibre - distance) / 0.3) * room).astype(np.float32)
