"""Volumes of interest: where their voxels lie, what is beyond a border, what is put back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathogan_core.cohorts.vois import AIR_HU, cut, put_back
from pathogan_core.errors import PathoganError

SPACING = (2.0, 0.7, 0.8)
SHAPE = (20, 50, 44)


def ramp(axis: int) -> np.ndarray:
    """Ten times the position in mm along an axis."""
    line = np.arange(SHAPE[axis]) * SPACING[axis] * 10
    shape = [-1 if a == axis else 1 for a in range(3)]
    return np.rint(np.broadcast_to(line.reshape(shape), SHAPE)).astype(np.int16)


@pytest.mark.parametrize("voxel_mm", [1.0, 0.5])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_voxels_lie_at_equal_steps_about_the_position(axis, voxel_mm):
    centre = (20.0, 17.5, 18.0)
    found = cut(ramp(axis), SPACING, centre, 8, voxel_mm)
    line = 10 * (centre[axis] + (np.arange(8) - 3.5) * voxel_mm)
    shape = [-1 if a == axis else 1 for a in range(3)]
    assert np.abs(found - line.reshape(shape)).max() <= 1  # two roundings


def test_beyond_the_scan_is_air():
    volume = np.full(SHAPE, 40, np.int16)
    found = cut(volume, SPACING, (0, 17, 17), 8)
    assert (found[:4] == AIR_HU).all()  # z from -3.5 to -0.5
    assert (found[4:] == 40).all()
    assert (cut(volume, SPACING, (-100, 0, 0), 8) == AIR_HU).all()


def test_of_its_own_voxels_a_voi_is_the_scan_itself():
    volume = np.random.default_rng(0).integers(-1000, 400, (12, 12, 12)).astype(np.int16)
    assert np.array_equal(cut(volume, (1, 1, 1), (5.5, 5.5, 5.5), 8), volume[2:10, 2:10, 2:10])


centres = st.tuples(st.floats(-10, 50), st.floats(-10, 45), st.floats(-10, 45))


@settings(deadline=None, max_examples=60)
@given(centres, st.sampled_from(["replaced", "difference"]))
def test_outside_the_box_every_voxel_stays_to_the_bit(centre, blending):
    rng = np.random.default_rng(1)
    volume = rng.integers(-1000, 400, SHAPE).astype(np.int16)
    nodule = rng.integers(-500, 100, (6, 6, 6)).astype(np.int16)
    before = volume.copy()
    made = put_back(volume, SPACING, nodule, centre, 1.0, blending, nodule[::-1])
    assert np.array_equal(volume, before)
    at = np.meshgrid(
        *(np.arange(n) * s for n, s in zip(SHAPE, SPACING, strict=True)), indexing="ij"
    )
    inside = np.all([(a >= c - 3) & (a < c + 3) for a, c in zip(at, centre, strict=True)], axis=0)
    assert np.array_equal(made[~inside], volume[~inside])
    if blending == "replaced" and inside.any():
        assert made[inside].min() >= nodule.min()
        assert made[inside].max() <= nodule.max()


def test_what_is_put_back_lies_where_it_was_cut():
    """A ramp in the box is the same ramp in the scan's voxels."""
    for axis in range(3):
        centre = (20.0, 17.5, 18.0)
        box = cut(ramp(axis), SPACING, centre, 8)
        made = put_back(np.zeros(SHAPE, np.int16), SPACING, box, centre)
        at = np.arange(SHAPE[axis]) * SPACING[axis]
        within = np.flatnonzero(np.abs(at - centre[axis]) <= 3.5)
        middle = [int(c / s) for c, s in zip(centre, SPACING, strict=True)]
        for index in within:
            place = [index if a == axis else middle[a] for a in range(3)]
            assert made[tuple(place)] == pytest.approx(10 * at[index], abs=1.1)


def test_a_difference_of_nothing_changes_nothing_and_keeps_the_scans_noise():
    rng = np.random.default_rng(2)
    volume = rng.normal(-800, 30, SHAPE).astype(np.int16)
    centre = (19.3, 16.1, 17.7)
    box = cut(volume, SPACING, centre, 10)
    same = put_back(volume, SPACING, box, centre, 1.0, "difference", box)
    assert np.array_equal(same, volume)
    brighter = put_back(volume, SPACING, box + 100, centre, 1.0, "difference", box)
    changed = brighter != volume
    assert changed.any()
    assert np.array_equal(brighter[changed], volume[changed] + 100)
    replaced = put_back(volume, SPACING, box, centre)
    inner = tuple(
        slice(int((c - 3) / s), int((c + 3) / s)) for c, s in zip(centre, SPACING, strict=True)
    )
    assert replaced[inner].std() < 0.95 * volume[inner].std()  # twice interpolated


def test_a_box_beside_the_scan_is_not_there():
    volume = np.zeros(SHAPE, np.int16)
    nodule = np.full((6, 6, 6), 50, np.int16)
    assert not put_back(volume, SPACING, nodule, (-20, 10, 10)).any()
    assert put_back(volume, SPACING, nodule, (0, 10, 10)).any()


@pytest.mark.parametrize(
    ("blending", "original", "message"),
    [("mixed", None, "blending: is 'mixed'"), ("difference", None, "original: is not there"),
     ("difference", np.zeros((2, 2, 2), np.int16), "original: is not there")],
)  # fmt: skip
def test_what_cannot_be_blended_is_one_line(blending, original, message):
    nodule = np.zeros((4, 4, 4), np.int16)
    with pytest.raises(PathoganError, match=message):
        put_back(np.zeros(SHAPE, np.int16), SPACING, nodule, (5, 5, 5), 1.0, blending, original)
