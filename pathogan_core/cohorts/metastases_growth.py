"""Brain metastases as they grow in a patient's anatomy: shape, ring or solid, oedema."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
from scipy import ndimage

from pathogan_core.cohorts.brain_anatomy import Anatomy, sigmoid, smooth_minimum
from pathogan_core.cohorts.brain_template import RandomField
from pathogan_core.cohorts.brain_tumours import (
    Tumour,
    ellipsoid_level,
    fluid_border,
    grow_oedema,
)
from pathogan_core.cohorts.metastases import Metastasis


def no_tumour(shape: tuple[int, ...]) -> Tumour:
    """A box without any tumour."""
    names = [field.name for field in fields(Tumour) if field.name != "masks"]
    masks = ("necrosis", "oedema", "non_enhancing", "enhancing")
    return Tumour(
        **{name: np.zeros(shape, np.float32) for name in names},
        masks={name: np.zeros(shape, bool) for name in masks},
    )


def grow_metastases(
    rng: np.random.Generator, oedema: float, metastases: list[Metastasis], anatomy: Anatomy
) -> Tumour:
    """Grow the planned metastases in a patient's anatomy."""
    whole = no_tumour(anatomy.csf.shape)
    sources = np.zeros(anatomy.csf.shape, bool)
    for metastasis in metastases:
        window = window_about(anatomy, metastasis.centre, 1.5 * metastasis.radius + 4)
        grown = grow_metastasis(metastasis, part_of(anatomy, window))
        here = grown.core > whole.core[window]
        for name in ("core", "dead", "blood", "uptake", "texture"):
            np.copyto(getattr(whole, name)[window], getattr(grown, name), where=here)
        for name, mask in grown.masks.items():
            np.copyto(whole.masks[name][window], mask, where=here)
        if metastasis.oedema:
            sources[window] |= here & (grown.core > 0.5)
    if sources.any():
        swelling = grow_oedema(rng, oedema, anatomy, sources) * (1 - whole.core)
        whole.swelling[:] = swelling
        inside = whole.core > 0.5
        whole.masks["oedema"][:] = ~inside & (swelling > 0.42) & anatomy.brain
    return whole


def grow_metastasis(plan: Metastasis, anatomy: Anatomy) -> Tumour:
    """Grow one metastasis in the part of the anatomy about it; its oedema is left out."""
    rng = np.random.default_rng([plan.seed, 12])
    size = anatomy.csf.shape
    level = lesion_level(rng, plan, anatomy)
    core = sigmoid(-level / 0.45) * anatomy.brain
    coarse = RandomField(rng, size, max(0.4 * plan.radius, 1.5)).everywhere()
    fine = RandomField(rng, size, 1.5).everywhere()
    if plan.rim is None:
        dead = 0.25 * sigmoid((coarse - 1.2) / 0.4) * sigmoid((-level - 2) / 0.7)
    else:
        rim = plan.rim * np.clip(1 + 0.3 * coarse + 0.15 * fine, 0.45, 2.5)
        dead = sigmoid((-level - rim) / 0.6)
    faint = sigmoid((-coarse - 2.0) / 0.2) if plan.radius > 4 else np.float32(0)
    viable = (1 - dead) * (1 - faint)
    blood = np.zeros(size, np.float32)
    if plan.bleeding:
        blood = sigmoid((RandomField(rng, size, 2.5).everywhere() - 1.0) / 0.3) * core
    filled = core > 0.5
    inside = largest_part(filled)
    core = core * (ndimage.binary_dilation(inside, iterations=2) & (inside | ~filled))
    necrosis = inside & (dead > 0.5)
    enhancing = inside & ~necrosis & (viable > 0.5)
    return Tumour(
        core=core,
        dead=dead.astype(np.float32),
        swelling=np.zeros(size, np.float32),
        blood=blood,
        uptake=plan.uptake * np.clip(1 + 0.2 * fine + 0.25 * coarse, 0.4, 2) * viable,
        texture=np.clip(0.3 + 0.15 * coarse + 0.1 * fine, 0, 1),
        masks={
            "necrosis": necrosis,
            "oedema": np.zeros(size, bool),
            "non_enhancing": inside & ~necrosis & ~enhancing,
            "enhancing": enhancing,
        },
    )


def largest_part(mask: np.ndarray) -> np.ndarray:
    """The largest component of a mask, so that no crumbs lie about a lesion."""
    labels, count = ndimage.label(mask)
    if count < 2:
        return mask
    return labels == 1 + np.bincount(labels.ravel())[1:].argmax()


def lesion_level(rng: np.random.Generator, plan: Metastasis, anatomy: Anatomy) -> np.ndarray:
    """Distance-like level of one metastasis in mm, negative inside: round, lobed where large."""
    axes = [
        np.arange(s.start, s.stop, dtype=np.float32) - c
        for s, c in zip(anatomy.box, plan.centre, strict=True)
    ]
    radius = plan.radius
    level = ellipsoid_level(axes, np.zeros(3), rng.uniform(0.85, 1.18, 3), radius)
    if radius > 5:
        for _ in range(int(rng.integers(0, 4))):
            away = rng.normal(0, 1, 3)
            away *= rng.uniform(0.4, 0.75) * radius / np.linalg.norm(away)
            stretch, share = rng.uniform(0.8, 1.2, 3), rng.uniform(0.4, 0.6)
            lobe = ellipsoid_level(axes, away, stretch, share * radius)
            level = smooth_minimum(level, lobe, 0.8)
    size = anatomy.csf.shape
    bumps = 0.1 * radius * RandomField(rng, size, max(0.5 * radius, 1.5)).everywhere()
    bumps += 0.05 * radius * RandomField(rng, size, max(0.2 * radius, 1.2)).everywhere()
    level += np.clip(bumps, -0.3 * radius, 0.3 * radius)
    # A metastasis is round and firm: fluid only dents it, and never its middle.
    middle = ellipsoid_level(axes, np.zeros(3), np.ones(3), 0.0)
    border = 0.35 * fluid_border(anatomy)
    level += border * np.clip(1.4 * middle / radius - 0.4, 0, 1)
    return ndimage.gaussian_filter(level, 0.7) if radius > 3 else level


def window_about(anatomy: Anatomy, centre: np.ndarray, reach: float) -> tuple[slice, slice, slice]:
    """The part of the anatomy's box within `reach` mm of a voxel of the volume, as slices."""
    bounds = []
    for box, middle, size in zip(anatomy.box, centre, anatomy.csf.shape, strict=True):
        low = max(int(np.floor(middle - reach)) - box.start, 0)
        high = min(int(np.ceil(middle + reach)) + 1 - box.start, size)
        bounds.append(slice(low, high))
    return bounds[0], bounds[1], bounds[2]


def part_of(anatomy: Anatomy, window: tuple[slice, slice, slice]) -> Anatomy:
    """The anatomy of a smaller box, as views; `window` counts from the corner of its own box."""
    values = {field.name: getattr(anatomy, field.name) for field in fields(anatomy)}
    cut: dict[str, Any] = {n: v[window] for n, v in values.items() if isinstance(v, np.ndarray)}
    first, second, third = (
        slice(b.start + w.start, b.start + w.stop) for b, w in zip(anatomy.box, window, strict=True)
    )
    return replace(anatomy, box=(first, second, third), **cut)
