"""Which voxel becomes which pixel, and with what value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathogan_core.cohorts.slices import PLANES, fit_frame, normalise_intensity, resize_area
from pathogan_core.errors import PathoganError


def test_sagittal_slices_count_from_the_patients_right_and_show_superior_up_anterior_left():
    z, y, x = np.indices((155, 240, 240))
    slices = PLANES["sagittal"].cut(x * 1_000_000 + y * 1_000 + z, 80, 149)
    assert slices.shape == (70, 155, 240)
    number, row, column = np.indices(slices.shape)
    assert np.array_equal(slices // 1_000_000, 80 + number)  # x grows to the patient's left
    assert np.array_equal(slices // 1_000 % 1_000, column)  # y grows to posterior: anterior left
    assert np.array_equal(slices % 1_000, 154 - row)  # z grows to superior: superior up
    assert PLANES["sagittal"].slice_shape((155, 240, 241)) == slices.shape[1:]


def test_axial_slices_count_from_below_and_show_anterior_up_and_the_patients_right_on_the_left():
    z, y, x = np.indices((155, 240, 236))
    slices = PLANES["axial"].cut(x * 1_000_000 + y * 1_000 + z, 30, 130)
    assert slices.shape == (101, 240, 236)
    number, row, column = np.indices(slices.shape)
    assert np.array_equal(slices % 1_000, 30 + number)  # z grows to superior
    assert np.array_equal(slices // 1_000 % 1_000, row)  # y grows to posterior: anterior up
    assert np.array_equal(slices // 1_000_000, column)  # x grows to the patient's left
    assert PLANES["axial"].slice_shape((155, 240, 236)) == slices.shape[1:]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 16), st.integers(0, 2**32 - 1))
def test_a_frame_keeps_every_pixel_that_it_has_room_for(rows, columns, side, seed):
    images = np.random.default_rng(seed).integers(1, 256, (2, rows, columns))
    framed = fit_frame(images, side)
    assert framed.shape == (2, side, side)
    for row in range(side):
        for column in range(side):
            at = row - (side - rows) // 2, column - (side - columns) // 2
            if rows > side:
                at = row + (rows - side) // 2, at[1]
            if columns > side:
                at = at[0], column + (columns - side) // 2
            inside = 0 <= at[0] < rows and 0 <= at[1] < columns
            expected = images[:, at[0], at[1]] if inside else 0
            assert np.array_equal(framed[:, row, column], np.broadcast_to(expected, 2))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 20), st.integers(0, 9))
def test_cropping_undoes_padding(side, margin):
    images = np.random.default_rng(side).uniform(size=(2, side, side))
    assert np.array_equal(fit_frame(fit_frame(images, side + margin), side), images)


def test_the_thesis_frame_of_256_puts_8_zeros_on_every_side():
    framed = fit_frame(np.ones((1, 240, 240)), 256)[0]
    assert framed.sum() == 240 * 240
    assert framed[8:248, 8:248].all()


def test_padding_before_shrinking_makes_a_brain_6_25_percent_smaller():
    """The share of a row that a 120-pixel object fills at 64 pixels, framed to 240 and to 256."""
    image = np.zeros((1, 240, 240))
    image[:, :, 60:180] = 1
    extents = [resize_area(fit_frame(image, side), 64)[0, 32].sum() for side in (240, 256)]
    assert extents == pytest.approx([32, 30])
    assert extents[1] / extents[0] == pytest.approx(1 - 0.0625)


def resize_by_replication(image: np.ndarray, size: int) -> np.ndarray:
    """Slow area averaging: enlarge by whole numbers until both grids divide, then block means."""
    rows, columns = image.shape
    fine = np.repeat(np.repeat(image.astype(float), size, axis=0), size, axis=1)
    return fine.reshape(size, rows, size, columns).mean(axis=(1, 3))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 23), st.integers(1, 23), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_resize_is_area_averaging(rows, columns, size, seed):
    size = min(size, rows, columns)
    images = np.random.default_rng(seed).uniform(0, 255, (3, rows, columns))
    resized = resize_area(images, size)
    expected = np.stack([resize_by_replication(image, size) for image in images])
    assert resized.shape == (3, size, size)
    assert np.allclose(resized, expected, atol=1e-3)


def test_resize_at_the_thesis_sizes_keeps_the_mean_and_a_constant():
    image = np.random.default_rng(0).uniform(0, 255, (1, 155, 240))
    for size in (128, 64, 32):
        assert resize_area(image, size).mean() == pytest.approx(image.mean(), rel=1e-5)
        assert np.allclose(resize_area(np.full((1, 155, 240), 255.0), size), 255, atol=1e-3)
    assert np.allclose(resize_area(image[:, :, :155], 155), image[:, :, :155])


def test_resize_does_not_enlarge():
    with pytest.raises(PathoganError, match="cannot be enlarged"):
        resize_area(np.zeros((1, 155, 240)), 156)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 50), st.sampled_from([np.int16, np.float32]))
def test_intensities_do_not_depend_on_the_scanners_gain(seed, gain, dtype):
    volume = np.random.default_rng(seed).integers(100, 600, (6, 7, 8)).astype(dtype)
    volume[:2] = 0
    scaled = volume.astype(np.float64) * gain
    first, second = (normalise_intensity(v, 99.5) for v in (volume, scaled))
    assert np.allclose(first, second, atol=0.01)
    assert (first[2:] > 0).all()
    assert first.max() == pytest.approx(255, abs=0.01)
    assert not first[:2].any()


def test_intensities_keep_their_order_and_map_the_percentile_to_white():
    volume = np.concatenate([np.zeros(50), np.arange(1, 1002)]).reshape(1, 1, -1)
    result = normalise_intensity(volume, 90).ravel()[50:]
    assert (np.diff(result) >= 0).all()
    assert np.isclose(result[449], 127.5 * 900 / 901, atol=0.15)  # half of the 90th percentile
    assert not (result == 0).any()
    assert np.isclose(result, 255, atol=1e-3).sum() == 101


def test_background_stays_black_below_negative_voxels():
    volume = np.concatenate([np.zeros(10), np.arange(-100, 0), np.arange(1, 101)])
    result = normalise_intensity(volume.reshape(1, 1, -1), 100).ravel()
    assert not result[:10].any()
    assert result[-1] == pytest.approx(255)
    assert result[109] == pytest.approx(255 * 99 / 200)


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        (np.zeros((2, 2, 2)), "every voxel is 0"),
        (np.full((2, 2, 2), 7), "constant"),
        (np.array([[[1.0, np.nan, 2.0]]]), "not finite"),
        (np.array([[[1.0, np.inf, 2.0]]]), "not finite"),
    ],
)
def test_unusable_intensities_are_refused(volume, words):
    with pytest.raises(PathoganError, match=words):
        normalise_intensity(volume, 99.5)
