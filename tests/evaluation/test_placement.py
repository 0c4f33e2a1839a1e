"""Contrast of boxes: closed forms on painted images, and what must not change it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathogan_core.evaluation import placement

SIZE = 32
GREY, BRIGHT = 100, 200
PERCENT = 100 / 255


def painted(boxes: list[list[int]], value: int = BRIGHT) -> np.ndarray:
    """A grey image in which whole-pixel boxes have a value."""
    image = np.full((SIZE, SIZE), GREY, np.uint8)
    for xmin, ymin, xmax, ymax in boxes:
        image[ymin:ymax, xmin:xmax] = value
    return image


def contrast(image: np.ndarray, boxes: list[list[float]]) -> np.ndarray:
    return placement.box_contrasts(image[None], [np.array(boxes, float)]).contrast


def test_a_filled_box_has_the_difference_of_brightness_in_percent_of_white() -> None:
    box = [10, 8, 16, 12]
    expected = (BRIGHT - GREY) * PERCENT
    assert contrast(painted([box]), [box]) == pytest.approx(expected)
    assert contrast(painted([box], 40), [box]) == pytest.approx((40 - GREY) * PERCENT)
    assert contrast(painted([]), [box]) == pytest.approx(0)


def test_a_half_filled_box_has_half_the_contrast() -> None:
    assert contrast(painted([[10, 8, 13, 12]]), [[10, 8, 16, 12]]) == pytest.approx(50 * PERCENT)


def test_a_bright_neighbour_with_a_box_of_its_own_is_no_surrounding() -> None:
    one, other = [10, 10, 14, 14], [15, 10, 19, 14]
    image = painted([one, other])
    assert contrast(image, [one, other]) == pytest.approx([100 * PERCENT] * 2)
    assert contrast(image, [one]) == pytest.approx((1 - 4 / 48) * 100 * PERCENT)


def test_background_is_looked_at_neither_in_the_box_nor_around_it() -> None:
    box = [10, 10, 14, 14]
    image = painted([box])
    image[:, 12:] = 0  # the right half of the head is missing
    assert contrast(image, [box]) == pytest.approx(100 * PERCENT)


def test_a_box_outside_the_brain_has_no_contrast_and_does_not_count() -> None:
    image = painted([])
    image[20:] = 0
    inside, outside = np.array([[4.0, 4, 8, 8]]), np.array([[4.0, 24, 8, 28]])
    found = placement.box_contrasts(np.stack([image, image]), [inside, outside])
    assert np.isnan(found.contrast).tolist() == [False, True]
    metrics = placement.placement(np.stack([image, image]), [inside, outside])
    assert metrics["contrast"].n == 1


def test_area_and_distance_from_the_centre_are_shares() -> None:
    boxes = [[12, 12, 20, 20], [0, 12, 8, 20]]
    found = placement.box_contrasts(painted([])[None], [np.array(boxes, float)])
    assert found.area == pytest.approx([64 / SIZE**2] * 2)
    assert found.eccentricity == pytest.approx([0, 0.75])


def cohort(count: int, fill: bool, seed: int = 0) -> tuple[np.ndarray, list[np.ndarray]]:
    """Noisy images with one box each, filled or not."""
    rng = np.random.default_rng(seed)
    boxes, images = [], []
    for _ in range(count):
        x, y = rng.integers(6, 20, 2)
        side = rng.integers(3, 7)
        box = [int(x), int(y), int(x + side), int(y + side)]
        noise = rng.normal(0, 12, (SIZE, SIZE))
        image = painted([box] if fill else []).astype(float) + noise
        images.append(np.clip(image, 0, 255).astype(np.uint8))
        boxes.append(np.array([box], float))
    return np.stack(images), boxes


def test_filled_boxes_are_above_zero_in_every_third_and_empty_ones_are_not() -> None:
    filled = placement.placement(*cohort(60, True))
    assert set(filled) == {
        "contrast", "contrast_not_asked",
        *(f"contrast_{name}" for name in (*placement.SIZES, *placement.PLACES)),
    }  # fmt: skip
    asked = {name: metric for name, metric in filled.items() if name != "contrast_not_asked"}
    assert all(metric.interval[0] > 30 for metric in asked.values())
    assert filled["contrast_not_asked"].value < 10
    thirds = [filled[f"contrast_{name}"].n for name in placement.SIZES]
    assert sum(thirds) == filled["contrast"].n == 60
    empty = placement.placement(*cohort(60, False))["contrast"]
    assert empty.interval[0] < 0 < empty.interval[1]


def test_boxes_of_one_image_are_resampled_together() -> None:
    """20 images of 5 equal boxes have an interval as wide as 20 images of 1 box."""
    rng = np.random.default_rng(0)
    by_image = rng.normal(5, 3, 20)

    def interval(boxes: int) -> tuple[float, float]:
        found = placement.BoxContrasts(
            np.repeat(np.arange(20), boxes), np.repeat(by_image, boxes),
            np.ones(20 * boxes), np.ones(20 * boxes),
        )  # fmt: skip
        metric = placement.mean_contrast(found, np.ones(20 * boxes, bool), 20)
        assert metric is not None
        assert metric.interval is not None
        return metric.interval

    assert interval(5) == pytest.approx(interval(1))


def test_terciles_are_thirds_in_order() -> None:
    names = placement.tercile_names(np.array([5.0, 1, 9, 2, 7, 3]), placement.SIZES)
    assert names.tolist() == ["medium", "small", "large", "small", "large", "medium"]


def test_without_boxes_there_is_nothing_to_measure() -> None:
    images = np.stack([painted([])] * 2)
    assert placement.placement(images, [np.empty((0, 4))] * 2) == {}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 40), st.integers(0, 1000))
def test_a_brighter_image_has_the_same_contrast(offset: int, seed: int) -> None:
    images, boxes = cohort(3, True, seed)
    images = images.clip(60, 210)
    brighter = (images + offset).astype(np.uint8)
    first, second = (placement.box_contrasts(some, boxes).contrast for some in (images, brighter))
    assert second == pytest.approx(first, abs=1e-3)
