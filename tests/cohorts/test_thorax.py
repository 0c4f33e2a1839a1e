"""A simulated chest CT: tissues, lungs, persons, noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from pathogan_core.cohorts.thorax import Thorax, make_thorax, simulate_scan, simulate_thorax
from pathogan_core.cohorts.thorax_grid import (
    SHAPE,
    STEP,
    Sampler,
    X,
    Y,
    Z,
    ellipsoid,
    polyline,
    random_field,
    value_at,
    voxel_positions,
)
from pathogan_core.cohorts.thorax_image import shares_of_neighbours
from pathogan_core.cohorts.thorax_scanner import KERNELS, Reconstruction, Scanner, draw_scanner
from pathogan_core.cohorts.thorax_trees import Branches, fill_slice, sample
from pathogan_core.errors import PathoganError

SEED, OTHER = 3, 4
WHOLE, COARSE = (48, 80, 80), (6.0, 4.5, 4.5)


@pytest.fixture(scope="module")
def thorax() -> Thorax:
    return make_thorax(SEED)


@pytest.fixture(scope="module")
def volume(thorax) -> np.ndarray:
    return simulate_thorax(SEED, WHOLE, COARSE)


def positions(shape: tuple[int, ...], spacing: tuple[float, ...]) -> np.ndarray:
    axes = [voxel_positions(n, s) for n, s in zip(shape, spacing, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)


@pytest.fixture(scope="module")
def at_voxels(thorax):
    """Any field of the anatomy at the voxels of `volume`."""
    points = positions(WHOLE, COARSE)
    return lambda field: value_at(field, points).reshape(WHOLE)


# ------------------------------------------------------------------ tissues


def test_tissues_are_in_the_order_of_their_attenuation(thorax, volume, at_voxels):
    body, skin, muscle = thorax.body, at_voxels(thorax.body.skin), at_voxels(thorax.body.muscle)
    bone, depth = at_voxels(thorax.skeleton.bone), at_voxels(thorax.lungs.depth)
    outside_ribs = at_voxels(body.cavity) > 11
    front = positions(WHOLE, COARSE)[:, 1].reshape(WHOLE) < 0
    median = {
        "air": np.median(volume[(skin > 12) & front]),
        "lung": np.median(volume[depth > 9]),
        "fat": np.median(volume[(skin < -5) & (muscle > 5)]),
        "muscle": np.median(volume[(muscle < -6) & outside_ribs & (bone > 7)]),
        "bone": np.median(volume[bone < -3]),
    }
    assert list(median) == sorted(median, key=median.__getitem__)
    assert median["air"] < -980
    assert -930 < median["lung"] < -770
    assert -125 < median["fat"] < -85
    assert 30 < median["muscle"] < 70
    assert median["bone"] > 150


def test_there_are_two_lungs_apart_from_each_other_and_from_the_air_outside(
    thorax, volume, at_voxels
):
    labels, _ = ndimage.label((volume < -500) & (at_voxels(thorax.organs.airway) > 5))
    lung = at_voxels(thorax.lungs.distance) < -3
    x = positions(WHOLE, COARSE)[:, 2].reshape(WHOLE)
    outside = set(np.unique(labels[:, 0])) | set(np.unique(labels[:, :, 0]))
    largest = []
    for side in (x < 0, x > 0):
        inside = labels[lung & side & (labels > 0)]
        number = int(np.bincount(inside).argmax())
        assert (inside == number).mean() > 0.97
        assert number not in outside
        litres = (labels == number).sum() * np.prod(COARSE) / 1e6
        assert 1.0 < litres < 4.0
        largest.append(number)
    assert largest[0] != largest[1]


def test_lungs_are_denser_at_the_back(thorax, volume, at_voxels):
    depth = at_voxels(thorax.lungs.depth) > 10
    y = positions(WHOLE, COARSE)[:, 1].reshape(WHOLE)
    front, back = np.median(volume[depth & (y < -30)]), np.median(volume[depth & (y > 30)])
    assert 8 < back - front < 45


def test_every_lobe_has_its_room(thorax):
    litres = np.bincount(thorax.lungs.lobe[thorax.lungs.lobe >= 0], minlength=5) * STEP**3 / 1e6
    assert (litres > 0.12).all()
    assert litres[:3].sum() > litres[3:].sum() * 0.9  # the heart lies on the left


def test_vessels_grow_thinner_and_away_from_the_hilum_within_their_lobe(thorax):
    tree = thorax.arteries
    side = np.where(tree.stop[:, 2] < 0, "right", "left")
    hilum = np.array([thorax.organs.hila[s] for s in side])
    away = np.linalg.norm(tree.stop - hilum, axis=1)
    thick, thin = tree.supplies > 60, tree.supplies == 1
    assert tree.stop_radius[thick].mean() > 3 * tree.stop_radius[thin].mean()
    assert away[thick].mean() < away[thin].mean()
    outward = np.linalg.norm(tree.stop - hilum, axis=1) > np.linalg.norm(tree.start - hilum, axis=1)
    assert outward[thick].mean() > 0.7
    assert (value_at(thorax.lungs.distance, tree.stop[thin]) < 2).mean() > 0.97


# ------------------------------------------------------------------ repeatability, persons


def test_a_scan_is_a_function_of_its_seed_whatever_the_threads():
    shape, spacing = (12, 40, 44), (5.0, 8.0, 8.0)
    one = simulate_scan(SEED, shape, spacing, threads=1)
    assert one.volume.dtype == np.int16
    assert one.volume.shape == shape
    np.testing.assert_array_equal(one.volume, simulate_scan(SEED, shape, spacing, threads=3).volume)
    make_thorax.cache_clear()
    np.testing.assert_array_equal(one.volume, simulate_thorax(SEED, shape, spacing))


def test_another_spacing_shows_the_same_chest(volume):
    fine = simulate_thorax(SEED, (96, 160, 160), (3.0, 2.25, 2.25)).astype(float)
    halved = fine.reshape(48, 2, 80, 2, 80, 2).mean(axis=(1, 3, 5))
    assert np.corrcoef(halved.ravel(), volume.ravel())[0, 1] > 0.99
    assert (halved < -500).mean() == pytest.approx((volume < -500).mean(), rel=0.01)
    # Vessels and bronchi, too, hold the same amount of blood and air.
    assert abs((halved - volume).mean()) < 4


def best_match(patch: np.ndarray, area: np.ndarray) -> float:
    """The highest correlation of a patch with any place of an area."""
    views = np.lib.stride_tricks.sliding_window_view(area, patch.shape)
    views = views.reshape(-1, patch.size)
    views = views - views.mean(axis=1, keepdims=True)
    wanted = (patch - patch.mean()).ravel()
    scores = views @ wanted / (np.linalg.norm(views, axis=1) * np.linalg.norm(wanted) + 1e-9)
    return float(scores.max())


def test_two_persons_differ_by_more_than_a_smooth_warp():
    """Lung detail of one is not found in the other, though it is in a warped copy of the first."""
    shape, spacing = (36, 150, 150), (2.0, 2.0, 2.0)
    one = simulate_thorax(SEED, shape, spacing).astype(np.float32)
    depth = make_thorax(SEED).lungs.depth
    inside = value_at(depth, positions(shape, spacing)).reshape(shape) > 9
    other = simulate_thorax(OTHER, shape, spacing).astype(np.float32)
    assert make_thorax(OTHER).build != make_thorax(SEED).build
    warped = ndimage.affine_transform(one, np.diag([1.03, 0.97, 1.03]), order=1, mode="nearest")
    rng = np.random.default_rng(0)
    middles = np.argwhere(inside[10:26, 15:135, 15:135]) + np.array([10, 15, 15])
    found = {"other": [], "warped": []}
    for z, y, x in middles[rng.choice(len(middles), 5, replace=False)]:
        patch = one[z - 5 : z + 6, y - 5 : y + 6, x - 5 : x + 6]
        area = np.s_[max(z - 9, 0) : z + 10, y - 9 : y + 10, x - 9 : x + 10]
        found["other"].append(best_match(patch, other[area]))
        found["warped"].append(best_match(patch, warped[area]))
    assert np.median(found["warped"]) > 0.7
    assert np.median(found["other"]) < 0.55


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"seed": -1}, "seed"),
        ({"shape": (0, 8, 8)}, "shape"),
        ({"spacing": (1.0, -1.0, 1.0)}, "spacing"),
        ({"spacing": (1.0, float("nan"), 1.0)}, "spacing"),
    ],
)
def test_what_cannot_be_scanned_is_refused(change, where):
    asked = {"seed": 1, "shape": (8, 8, 8), "spacing": (5.0, 5.0, 5.0)} | change
    with pytest.raises(PathoganError, match=where):
        simulate_thorax(**asked)


# ------------------------------------------------------------------ grid


def test_sampling_is_exact_for_a_ramp_and_at_the_nodes():
    rng = np.random.default_rng(0)
    fields = np.stack([2 * Z - Y + 0.5 * X, rng.normal(size=SHAPE)]).astype(np.float32)
    shape, spacing = (5, 7, 9), (STEP, 2 * STEP, STEP)
    sampler = Sampler(fields, shape, spacing)
    across = sampler.across(1, np.empty((2, SHAPE[1], 9), np.float32))
    block = sampler.block(across, slice(2, 6), np.empty((2, 4, 9), np.float32))
    z, y, x = (voxel_positions(n, s) for n, s in zip(shape, spacing, strict=True))
    expected = 2 * z[1] - y[2:6, None] + 0.5 * x
    np.testing.assert_allclose(block[0], expected, atol=1e-3)
    places = [
        np.rint((p + (n - 1) / 2 * STEP) / STEP).astype(int)
        for p, n in zip((z, y, x), SHAPE, strict=True)
    ]
    nodes = fields[1][places[0][1]][np.ix_(places[1][2:6], places[2])]
    np.testing.assert_allclose(block[1], nodes, atol=1e-4)


def test_distances_have_a_slope_of_one_at_a_surface():
    everywhere = (slice(None),) * 3
    ball = ellipsoid(everywhere, (0, 0, 0), (60, 60, 60))
    radius = np.sqrt(Z**2 + Y**2 + X**2)
    np.testing.assert_allclose(ball, radius - 60, atol=0.1)
    long = ellipsoid(everywhere, (0, 0, 0), (80, 40, 60))
    near = np.abs(long) < 4
    slope = np.sqrt(sum(g**2 for g in np.gradient(long, STEP)))[near]
    assert 0.85 < np.percentile(slope, 2) < np.percentile(slope, 98) < 1.15


def test_a_random_field_has_the_scatter_it_should():
    field = random_field(np.random.default_rng(1), 15)
    assert abs(field.mean()) < 0.1
    assert 0.85 < field.std() < 1.1


def test_a_curve_passes_its_corners():
    corners = np.array([(0, 0, 0, 2), (10, 3, 1, 3), (12, 9, 4, 1)], float)
    np.testing.assert_allclose(polyline(corners, 4)[::4], corners, atol=1e-12)


def test_samples_of_a_branch_hold_its_volume_at_its_place():
    ends = np.array([[[-9.0, -20, -14]], [[12.0, 15, 18]]])
    branch = Branches(
        ends[0], ends.mean(axis=0), ends[1], np.array([2.5]), np.array([1.5]), np.ones(1, int)
    )
    shape, spacing = (24, 50, 48), (1.5, 1.0, 1.1)
    samples = sample(branch, shape, spacing)
    share = np.stack([fill_slice(samples, k, shape[1:]) for k in range(shape[0])])
    length = np.linalg.norm(ends[1] - ends[0])
    cone = np.pi * length * (2.5**2 + 2.5 * 1.5 + 1.5**2) / 3
    assert share.sum() * np.prod(spacing) == pytest.approx(cone, rel=0.03)
    points = positions(shape, spacing)
    along = (ends[1] - ends[0])[0] / length
    away = points - ends[0][0]
    distance = np.linalg.norm(away - (away @ along)[:, None] * along, axis=1)
    assert distance[share.ravel() > 0.5].max() < 2.5 + 1.0
    assert share.ravel()[(distance > 4.5)].max() == 0


# ------------------------------------------------------------------ scanner


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("shape", [(128, 128), (125, 121)])
def test_noise_has_unit_power_and_no_mean(kernel, shape):
    made = Reconstruction(Scanner(kernel, 20, 0), shape, (0.7, 0.7))
    rng = np.random.default_rng(3)
    noise = np.stack([made.noise(made.spectrum(rng), 0.0) for _ in range(40)])
    assert noise.std() == pytest.approx(1, rel=0.02)
    assert abs(noise.mean()) < 0.02


def test_a_sharper_kernel_has_finer_grain_and_sharper_edges():
    rng = np.random.default_rng(4)
    step = np.zeros((128, 128), np.float32)
    step[:, 40:90] = 1000
    neighbours, rises = [], []
    for kernel in KERNELS:
        made = Reconstruction(Scanner(kernel, 20, 0), step.shape, (0.6, 0.6))
        noise = made.noise(made.spectrum(rng), 0.0)
        neighbours.append(np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1])
        rises.append(np.diff(made.blur(step)[64, 30:60]).max())
        assert made.blur(step).mean() == pytest.approx(step.mean(), rel=1e-4)
    assert neighbours == sorted(neighbours, reverse=True)
    assert rises == sorted(rises)


@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.5])
def test_neighbouring_slices_share_noise_as_asked(overlap):
    side, middle = shares_of_neighbours(overlap)
    assert middle**2 + 2 * side**2 == pytest.approx(1)
    assert 2 * side * middle == pytest.approx(overlap, abs=1e-12)


def test_streaks_run_from_side_to_side():
    made = Reconstruction(Scanner("standard", 20, 0), (128, 128), (0.7, 0.7))
    noise = made.noise(made.spectrum(np.random.default_rng(5)), 1.0)
    along = np.corrcoef(noise[:, :-4].ravel(), noise[:, 4:].ravel())[0, 1]
    across = np.corrcoef(noise[:-4].ravel(), noise[4:].ravel())[0, 1]
    assert along > across + 0.2


def test_scanners_differ():
    drawn = [draw_scanner(np.random.default_rng([1, k]), 1.25) for k in range(60)]
    assert {s.kernel for s in drawn} == set(KERNELS)
    assert max(s.noise for s in drawn) > 3 * min(s.noise for s in drawn)
    assert all(0 <= s.overlap < 0.6 for s in drawn)
