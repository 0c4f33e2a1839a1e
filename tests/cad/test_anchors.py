"""k-means on box sizes: separated clusters, the distance it minimises, bad input."""

from __future__ import annotations

import numpy as np
import pytest

from pathogan_core.cad.anchors import anchors_of, shape_iou
from pathogan_core.errors import PathoganError

TRUE = np.array(
    [(5, 5), (5, 15), (15, 5), (20, 20), (20, 60), (60, 20), (80, 80), (80, 240), (240, 80)], float
)


def boxes_of(shapes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Somewhere: where a box lies has no say."""
    corners = rng.uniform(0, 100, shapes.shape)
    return np.hstack([corners, corners + shapes])


def scattered(seed: int = 0, each: int = 20) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.repeat(TRUE, each, 0) * rng.uniform(0.95, 1.05, (len(TRUE) * each, 2))


@pytest.mark.parametrize("seed", range(5))
def test_separated_clusters_are_found_by_their_means(seed: int) -> None:
    shapes = scattered()
    expected = shapes.reshape(len(TRUE), -1, 2).mean(1)
    expected = expected[np.argsort(expected.prod(1))]
    found = anchors_of(boxes_of(shapes, np.random.default_rng(1)), seed=seed)
    np.testing.assert_allclose(found, expected, atol=0.006)


def test_smallest_area_first_and_scaled_to_the_input() -> None:
    boxes = boxes_of(scattered(), np.random.default_rng(1))
    found = np.array(anchors_of(boxes))
    assert (np.diff(found.prod(1)) > 0).all()
    np.testing.assert_allclose(anchors_of(boxes, scale=416 / 256), found * 416 / 256, atol=0.02)


def test_a_function_of_boxes_and_seed() -> None:
    boxes = boxes_of(scattered(each=3), np.random.default_rng(1))
    np.random.seed(3)  # noqa: NPY002 - global state plays no part
    first = anchors_of(boxes, seed=4)
    np.random.seed(5)  # noqa: NPY002
    assert anchors_of(boxes, seed=4) == first


def test_every_box_is_nearest_to_its_own_centre_by_iou_and_centres_are_means() -> None:
    """The fixed point of Lloyd's algorithm under 1 - IoU, on sizes without clusters."""
    shapes = np.random.default_rng(2).uniform(4, 60, (200, 2))
    found = np.array(anchors_of(boxes_of(shapes, np.random.default_rng(1))))
    nearest = shape_iou(shapes, found).argmax(1)
    means = np.array([shapes[nearest == k].mean(0) for k in range(9)])
    np.testing.assert_allclose(found, means, atol=0.006)


def test_iou_of_shapes_by_hand() -> None:
    found = shape_iou(np.array([[4.0, 2.0]]), np.array([[4.0, 2.0], [2.0, 4.0], [8.0, 2.0]]))
    np.testing.assert_allclose(found, [[1, 4 / 12, 1 / 2]])


def test_equal_boxes_make_equal_anchors() -> None:
    assert anchors_of(np.tile([3.0, 5, 10, 9], (12, 1))) == ((7.0, 4.0),) * 9
    assert set(anchors_of([[0, 0, 4, 4]] * 8 + [[0, 0, 9, 9]] * 8)) == {(4.0, 4.0), (9.0, 9.0)}


def test_fewer_boxes_than_clusters_are_one_line() -> None:
    line = "anchors: 8 boxes are too few for 9 anchors; add training images, or name the anchors"
    with pytest.raises(PathoganError, match=line):
        anchors_of(boxes_of(TRUE[:8], np.random.default_rng(1)))
    with pytest.raises(PathoganError, match="0 boxes are too few"):
        anchors_of(np.zeros((0, 4)))
