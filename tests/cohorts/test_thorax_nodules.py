"""Nodules in a simulated chest CT: shapes, places, what the image shows, the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from pathogan_core.cohorts.thorax import SimulatedScan, make_thorax, simulate_scan, simulate_thorax
from pathogan_core.cohorts.thorax_grid import stream, value_at
from pathogan_core.cohorts.thorax_nodules import (
    CALCIFICATIONS,
    Nodule,
    NoduleShape,
    attenuation_map,
    draw_shape,
    spicules,
)
from pathogan_core.cohorts.thorax_placement import put
from pathogan_core.errors import PathoganError

SEED = 3
SHAPE, SPACING = (56, 110, 110), (3.0, 3.0, 3.0)
ASKED = (
    ("solid", "parenchyma", 20.0),
    ("part_solid", "parenchyma", 22.0),
    ("ground_glass", "parenchyma", 20.0),
    ("solid", "juxta_pleural", 16.0),
    ("solid", "juxta_vascular", 14.0),
)


def rng(case: int = 0) -> np.random.Generator:
    return np.random.default_rng([case, 77])


@pytest.fixture(scope="module")
def scan() -> SimulatedScan:
    nodules = [
        Nodule(draw_shape(rng(k), diameter, lobulation=2), attenuation, site=site)
        for k, (attenuation, site, diameter) in enumerate(ASKED)
    ]
    return simulate_scan(SEED, SHAPE, SPACING, nodules)


# ------------------------------------------------------------------ shapes


@pytest.mark.parametrize("diameter", [3.0, 11.0, 34.0])
@pytest.mark.parametrize("lobulation", [1, 3, 5])
def test_a_shape_has_the_volume_of_its_diameter(diameter, lobulation):
    shape = draw_shape(rng(lobulation), diameter, lobulation)
    assert shape.volume_mm3 == pytest.approx(np.pi / 6 * diameter**3, rel=1e-3)
    assert shape.diameter_mm == pytest.approx(diameter, rel=1e-3)
    edge = shape.occupancy.copy()
    edge[1:-1, 1:-1, 1:-1] = 0
    assert edge.max() == 0  # nothing is cut off
    assert ndimage.label(shape.occupancy > 0.5)[1] == 1


def test_lobulation_makes_a_surface_larger():
    def surface(lobulation: float) -> float:
        shapes = [draw_shape(rng(k), 20, lobulation) for k in range(6)]
        gradients = [np.gradient(s.occupancy, *s.spacing) for s in shapes]
        areas = [
            np.sqrt(sum(g**2 for g in gradient)).sum() * np.prod(s.spacing)
            for gradient, s in zip(gradients, shapes, strict=True)
        ]
        return float(np.mean(areas))

    assert surface(5) > 1.03 * surface(1)
    assert surface(1) == pytest.approx(np.pi * 20**2, rel=0.12)


@pytest.mark.parametrize("spacing", [(2.5, 0.7, 0.7), (1.0, 1.0, 1.0), (3.0, 2.0, 1.5)])
def test_a_contour_of_other_voxels_keeps_its_volume_and_centre(spacing):
    """As real marks are: a filled outline with the spacing of the scan that it comes from."""
    outline = np.zeros((7, 30, 26), np.float32)
    outline[1:6, 4:25, 6:20] = 1
    outline[3:5, 10:20, 18:24] = 1
    shape = NoduleShape(outline, (2.0, 0.65, 0.65))
    nodule = Nodule(shape, margin=5)
    lungs = make_thorax(SEED).lungs
    open_lung = replace(lungs, distance=np.full_like(lungs.distance, -50))
    place = np.array([3.3, -10.2, 61.7])
    placed = put(rng(), nodule, place, open_lung, (40, 200, 200), spacing)
    assert placed.diameter_mm == pytest.approx(shape.diameter_mm, rel=0.02)
    assert placed.mask.sum() * np.prod(spacing) == pytest.approx(shape.volume_mm3, rel=0.12)
    middle = (np.array([40, 200, 200]) - 1) / 2 * spacing
    np.testing.assert_allclose(placed.centre_mm, place + middle, atol=0.1)


def test_margin_softens_what_is_drawn_and_not_the_truth():
    lungs = make_thorax(SEED).lungs
    open_lung = replace(lungs, distance=np.full_like(lungs.distance, -50))
    shape = draw_shape(rng(), 16)
    sharp, soft = (
        put(rng(), Nodule(shape, margin=m), np.zeros(3), open_lung, (48, 64, 64), (1.0, 1.0, 1.0))
        for m in (5, 1)
    )
    assert sharp.diameter_mm == pytest.approx(soft.diameter_mm, rel=1e-6)
    assert sharp.mask.sum() == soft.mask.sum()
    partial = [((p.occupancy > 0.1) & (p.occupancy < 0.9)).sum() for p in (sharp, soft)]
    assert partial[1] > 1.5 * partial[0]


@pytest.mark.parametrize("calcification", range(1, 7))
def test_calcium_is_where_its_rating_says(calcification):
    shape = draw_shape(rng(), 18)
    nodule = Nodule(shape, calcification=calcification)
    hu = attenuation_map(rng(1), nodule, shape.occupancy, shape.spacing)
    inside = shape.occupancy > 0.5
    depth = ndimage.distance_transform_edt(inside)
    core, rim = depth > 0.75 * depth.max(), inside & (depth < 0.3 * depth.max())
    calcium = (hu > 250) & inside
    kind = CALCIFICATIONS[calcification - 1]
    if kind == "absent":
        assert not calcium.any()
    else:
        assert calcium.sum() > 0.01 * inside.sum()
    if kind == "central":
        assert calcium[core].mean() > 0.9 > 0.1 > calcium[rim].mean()
    if kind == "solid":
        assert calcium[inside].mean() > 0.7


def test_spicules_grow_with_their_rating_and_leave_the_nodule():
    shape = draw_shape(rng(), 15)
    few, many = (spicules(rng(), Nodule(shape, spiculation=k), np.zeros(3)) for k in (2, 5))
    assert len(spicules(rng(), Nodule(shape), np.zeros(3)).start) == 0
    assert 0 < len(few.start) < len(many.start)
    assert (np.linalg.norm(many.stop, axis=1) > 7.5).all()
    assert (np.linalg.norm(many.start, axis=1) < 7.5).all()


# ------------------------------------------------------------------ in a scan


def test_nodules_lie_where_the_truth_says(scan):
    """The truth is checked in the image: what differs from the same scan without nodules."""
    empty = simulate_thorax(SEED, SHAPE, SPACING).astype(int)
    change = scan.volume.astype(int) - empty
    union = np.zeros(SHAPE, bool)
    for placed in scan.nodules:
        mask = placed.whole_mask(SHAPE)
        near = ndimage.binary_dilation(mask, iterations=2)
        union |= near
        weight = np.where(near, np.maximum(change, 0), 0).astype(float)
        centre = np.array(ndimage.center_of_mass(weight)) * SPACING
        assert np.linalg.norm(centre - placed.centre_mm) < 2.5
        assert np.median(change[mask]) > 100
    # The blur is a transform of whole slices: rounding may move a voxel by one.
    assert np.abs(change[~ndimage.binary_dilation(union, iterations=2)]).max() <= 1


def test_the_mask_has_the_volume_of_the_diameter(scan):
    for placed, (_, site, diameter) in zip(scan.nodules, ASKED, strict=True):
        volume = placed.mask.sum() * np.prod(SPACING)
        assert volume == pytest.approx(np.pi / 6 * placed.diameter_mm**3, rel=0.1)
        if site == "parenchyma":
            assert placed.diameter_mm == pytest.approx(diameter, rel=0.02)
        else:
            assert 0.75 * diameter < placed.diameter_mm < 1.02 * diameter


def test_attenuation_orders_solid_part_solid_ground_glass(scan):
    means = [scan.volume[placed.whole_mask(SHAPE)].mean() for placed in scan.nodules[:3]]
    assert means[0] > means[1] + 60 > means[2] + 120
    cores = []
    for placed in scan.nodules[:3]:
        depth = ndimage.distance_transform_edt(placed.whole_mask(SHAPE))
        cores.append(np.median(scan.volume[depth > 0.7 * depth.max()]))
    assert cores[0] == pytest.approx(30, abs=60)
    assert cores[1] > -200
    assert -720 < cores[2] < -480


def test_sites_are_what_they_are_called(scan):
    thorax = make_thorax(SEED)
    half = (np.array(SHAPE) - 1) / 2 * SPACING
    for placed, (_, site, _) in zip(scan.nodules, ASKED, strict=True):
        centre = np.array(placed.centre_mm) - half
        depth = float(value_at(thorax.lungs.depth, centre[None])[0])
        radius = placed.nodule.shape.diameter_mm / 2
        if site == "juxta_pleural":
            assert 0.4 * radius < depth < 1.1 * radius
        else:
            assert depth > radius
        if site == "juxta_vascular":
            vessels = [thorax.arteries, thorax.veins]
            gaps = [np.linalg.norm(v.middles() - centre, axis=1) - v.start_radius for v in vessels]
            thick = [v.start_radius > 0.8 for v in vessels]
            assert min(g[t].min() for g, t in zip(gaps, thick, strict=True)) < radius + 1


def test_nodules_keep_apart(scan):
    for i, one in enumerate(scan.nodules):
        for other in scan.nodules[:i]:
            apart = np.linalg.norm(np.subtract(one.centre_mm, other.centre_mm))
            radii = (one.nodule.shape.diameter_mm + other.nodule.shape.diameter_mm) / 2
            assert apart > radii


def test_nodules_are_the_same_again_in_the_same_place(scan):
    again = simulate_scan(SEED, SHAPE, SPACING, [p.nodule for p in scan.nodules], threads=1)
    np.testing.assert_array_equal(again.volume, scan.volume)
    assert [p.centre_mm for p in again.nodules] == [p.centre_mm for p in scan.nodules]


@pytest.mark.parametrize("site", ["parenchyma", "juxta_pleural", "juxta_vascular"])
def test_where_there_is_no_room_the_scan_is_refused(site):
    giant = Nodule(draw_shape(rng(), 150), site=site)
    with pytest.raises(PathoganError, match="no room"):
        simulate_scan(SEED, (8, 20, 20), (10.0, 10.0, 10.0), [giant])


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (lambda: draw_shape(rng(), 0), "diameter_mm"),
        (lambda: draw_shape(rng(), float("nan")), "diameter_mm"),
        (lambda: draw_shape(rng(), 9, lobulation=6), "lobulation"),
        (lambda: NoduleShape(np.zeros((3, 3, 3), np.float32), (1, 1, 1)), "occupancy"),
        (lambda: NoduleShape(np.ones((3, 3), np.float32), (1, 1, 1)), "occupancy"),
        (lambda: NoduleShape(np.ones((3, 3, 3), np.float32), (1, 0, 1)), "spacing"),
        (lambda: Nodule(draw_shape(rng(), 9), "cystic"), "attenuation"),  # type: ignore[arg-type]
        (lambda: Nodule(draw_shape(rng(), 9), margin=0), "margin"),
        (lambda: Nodule(draw_shape(rng(), 9), calcification=7), "calcification"),
    ],
)
def test_what_is_no_nodule_is_refused(make, where):
    with pytest.raises(PathoganError, match=where):
        make()


def test_streams_of_purposes_differ():
    first = {stream(1, purpose).integers(2**60) for purpose in range(1, 14)}
    assert len(first) == 13
