"""Spots: closed forms on painted hills, and what must not change them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation import spurious
from pathogan_core.evaluation.spurious import RealSlices

SIZE = 64
GREY = 100
NONE = np.empty((0, 4))
THRESHOLD = 20.0
HILL = 100  # grey levels: 39% of white


def hill(x: float, y: float, deviation: float, height: float = HILL) -> np.ndarray:
    """A Gaussian hill about a place in continuous pixels."""
    middles = np.arange(SIZE) + 0.5
    squares = (middles - x) ** 2 + (middles[:, None] - y) ** 2
    return height * np.exp(-squares / (2 * deviation**2))


def slice_of(*hills: np.ndarray, radius: float = 28) -> np.ndarray:
    """A grey disc in the dark, with hills in it."""
    middles = np.arange(SIZE) + 0.5 - SIZE / 2
    disc = middles**2 + middles[:, None] ** 2 < radius**2
    return np.rint(np.where(disc, GREY + sum(hills, np.zeros((SIZE, SIZE))), 0)).astype(np.uint8)


def found(image: np.ndarray, threshold: float = THRESHOLD) -> spurious.Spots:
    return spurious.find_spots(image[None], threshold)


def count(image: np.ndarray, boxes: np.ndarray = NONE) -> float:
    return spurious.per_slice(image[None], [boxes], THRESHOLD)[0, 0]


@pytest.mark.parametrize("deviation", [1.6, 2.26, 3.2])
def test_a_hill_is_one_spot_of_its_place_size_and_height(deviation: float) -> None:
    spots = found(slice_of(hill(30.5, 36.5, deviation)))
    assert len(spots.x) == 1
    assert (spots.x[0], spots.y[0]) == (30.5, 36.5)
    # The size at which a hill stands out most is 1/sqrt(2) of its own.
    assert spots.radius[0] == pytest.approx(deviation, rel=0.21)
    assert spots.strength[0] == pytest.approx(100 * HILL / 255, rel=0.06)


def test_a_spot_counts_outside_every_box_and_not_in_one_or_reaching_into_one() -> None:
    image = slice_of(hill(30.5, 30.5, 2))
    assert count(image) == 1
    assert count(image, np.array([[26.0, 26, 35, 35]])) == 0
    assert count(image, np.array([[32.0, 26, 40, 35]])) == 0
    assert count(image, np.array([[40.0, 26, 48, 35]])) == 1


def test_only_that_spot_counts_that_no_box_asks_for() -> None:
    image = slice_of(hill(20.5, 30.5, 2), hill(44.5, 34.5, 2))
    assert count(image) == 2
    assert count(image, np.array([[15.0, 25, 26, 36]])) == 1


def test_a_weaker_hill_than_the_threshold_is_none_and_a_dark_one_never() -> None:
    assert count(slice_of(hill(30.5, 30.5, 2, height=0.8 * THRESHOLD * 2.55))) == 0
    assert count(slice_of(hill(30.5, 30.5, 2, height=1.2 * THRESHOLD * 2.55))) == 1
    assert count(slice_of(hill(30.5, 30.5, 2, height=-60))) == 0


def test_a_line_is_no_spot() -> None:
    middles = np.arange(SIZE) + 0.5
    across = np.exp(-((middles - 30.5) ** 2) / 8)
    along = 1 / (1 + np.exp(np.abs(middles - SIZE / 2) - 14))  # soft ends
    assert count(slice_of(HILL * along[:, None] * across)) == 0


def test_the_head_itself_and_an_island_of_brain_are_no_spots() -> None:
    assert count(slice_of()) == 0
    assert count(slice_of(radius=5)) == 0


def test_ordinary_grey_in_a_dark_ventricle_is_no_spot() -> None:
    ventricle = hill(30.5, 30.5, 6, height=-65)
    assert count(slice_of(ventricle, hill(30.5, 30.5, 1.6, height=65))) == 0
    assert count(slice_of(hill(30.5, 30.5, 1.6, height=65))) == 1


def test_the_area_is_that_of_discs_in_the_brain_outside_boxes() -> None:
    image = slice_of(hill(32.5, 32.5, 4.5))
    radius = found(image).radius[0]
    area = spurious.per_slice(image[None], [NONE], THRESHOLD)[0, 1]
    assert area == pytest.approx(100 * radius**2 / 28**2, rel=0.2)
    half = np.array([[0.0, 45, 64, 64]])
    smaller = spurious.per_slice(image[None], [half], THRESHOLD)[0, 1]
    assert smaller == pytest.approx(area * (image > 0).sum() / (image[:45] > 0).sum())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 7), st.integers(-6, 6), st.integers(-6, 6), st.integers(0, 40))
def test_turned_flipped_moved_and_brighter_slices_have_the_same_spots(
    symmetry: int, right: int, down: int, brighter: int
) -> None:
    image = slice_of(hill(25.5, 30.5, 2), hill(40.5, 22.5, 1.6), radius=20)
    before = found(image)
    changed = np.roll(image, (down, right), (0, 1))
    changed = np.where(changed > 0, np.minimum(changed + brighter, 255), 0).astype(np.uint8)
    changed = np.rot90(changed[::-1] if symmetry >= 4 else changed, symmetry % 4)
    after = found(np.ascontiguousarray(changed))
    assert len(before.x) == 2
    assert sorted(after.strength) == pytest.approx(sorted(before.strength), rel=1e-3)
    assert sorted(after.radius) == pytest.approx(sorted(before.radius))


def test_images_do_not_depend_on_those_beside_them() -> None:
    one, other = slice_of(hill(25.5, 30.5, 2)), slice_of()
    many = np.stack([other] * (spurious.AT_ONCE + 1) + [one])
    spots = spurious.find_spots(many, THRESHOLD)
    assert spots.image.tolist() == [spurious.AT_ONCE + 1]
    assert spots.strength == pytest.approx(found(one).strength)


def test_the_threshold_is_a_quantile_of_real_lesions_strengths() -> None:
    heights = [40.0, 60, 80, 100]
    images = np.stack([slice_of(hill(30.5, 30.5, 2, height)) for height in heights])
    boxes = [np.array([[27.0, 27, 34, 34]])] * 4
    strengths = spurious.lesion_strengths(images, boxes)
    assert strengths == pytest.approx(100 * np.array(heights) / 255, rel=0.06)
    metric = spurious.threshold_of(strengths, spurious.SpotRule(weaker=1 / 3))
    assert metric is not None
    assert (metric.value, metric.n) == (pytest.approx(strengths[1]), 4)


def test_without_lesions_that_stand_out_there_is_no_threshold() -> None:
    flat = spurious.lesion_strengths(slice_of()[None], [np.array([[27.0, 27, 34, 34]])])
    assert spurious.threshold_of(flat) is None
    assert spurious.threshold_of(np.empty(0)) is None
    with pytest.raises(PathoganError, match="threshold of spots"):
        spurious.find_spots(slice_of()[None], 0.0)


def test_generated_minus_real_with_patients_drawn_whole() -> None:
    spotted, plain = slice_of(hill(25.5, 30.5, 2)), slice_of()
    images = np.stack([spotted] * 30 + [plain] * 10)
    real = np.stack([spotted, plain, plain, plain] * 5)
    patients = np.repeat([f"p{i}" for i in range(5)], 4)
    references = {"patients": RealSlices(real, [NONE] * 20, patients)}
    metrics = spurious.spurious(images, [NONE] * 40, references, THRESHOLD)
    assert metrics["spots"].value == 0.75
    assert metrics["spots_patients"].value == 0.25
    assert metrics["spots_excess_patients"].value == 0.5
    # Every patient is alike, so that only the generated images vary.
    assert metrics["spots_patients"].interval == pytest.approx((0.25, 0.25))
    low, high = metrics["spots"].interval
    assert metrics["spots_excess_patients"].interval == pytest.approx((low - 0.25, high - 0.25))
    assert set(metrics) == {
        f"{name}{kind}"
        for name in ("spots", "spot_area")
        for kind in ("", "_patients", "_excess_patients")
    }
