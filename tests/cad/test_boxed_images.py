"""Images with boxes: boxes follow their images, lesion-free images stay, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pathogan_core.cad.box_augmentation import BoxAugmentation
from pathogan_core.cad.boxed_images import BoxedBatch, BoxedImages, BoxedMixture
from pathogan_core.errors import PathoganError
from pathogan_core.training.distribution import Distribution
from pathogan_core.training.phases import Turn
from pathogan_core.training.randomness import generator_for

SIDE = 64
AS_IT_IS = BoxAugmentation(False, False, 0, 0, 0, 0)


def turn(step: int = 0, distribution: Distribution | None = None) -> Turn:
    return Turn(step, 0, 0, generator_for(0, step), distribution or Distribution())


def boxes_of(number: int) -> list[list[float]]:
    """Those of the image of this grey: none to three, which say the number."""
    return [[number / 8, k, number / 8 + 1, k + 1.5] for k in range(number % 4)]


def numbered(first: int, n: int, **options) -> BoxedImages:
    """Images that are their own number, in grey, with `boxes_of` it in shuffled order."""
    numbers = np.arange(first, first + n)
    images = np.repeat(numbers.astype(np.uint8), SIDE * SIDE).reshape(n, SIDE, SIDE)
    pairs = [(row, box) for row, number in enumerate(numbers) for box in boxes_of(int(number))]
    order = np.random.default_rng(0).permutation(len(pairs))
    rows = np.array([pairs[k][0] for k in order], int)
    boxes = np.array([pairs[k][1] for k in order], float)
    return BoxedImages(f"from {first}", images, boxes, rows, **options)


def numbers_of(batch: BoxedBatch) -> list[int]:
    return ((batch.images[:, 0, 0, 0] + 1) * 127.5).round().int().tolist()


def test_boxes_follow_their_images_in_every_set() -> None:
    sets = [numbered(0, 20), numbered(40, 9, count=30), numbered(101, 50)]
    mixture = BoxedMixture(sets)
    assert len(mixture) == 100
    batch = mixture.draw(turn(), 400, AS_IT_IS)
    assert batch.images.shape == (400, 1, SIDE, SIDE)
    assert batch.boxes.shape == (400, 3, 4)
    for k, number in enumerate(numbers_of(batch)):
        assert sorted(batch.boxes[k][batch.present[k]].tolist()) == boxes_of(number)
        assert not batch.boxes[k][~batch.present[k]].any()


def test_images_without_a_lesion_come_up_like_others() -> None:
    numbers = numbers_of(BoxedMixture([numbered(0, 20)]).draw(turn(), 4000, AS_IT_IS))
    assert set(numbers) == set(range(20))
    without = np.mean([number % 4 == 0 for number in numbers])
    assert without == pytest.approx(1 / 4, abs=4.5 * (3 / 16 / 4000) ** 0.5)


def test_a_set_without_any_box_is_mixed_with_others() -> None:
    healthy = BoxedImages(
        "normal", np.full((3, SIDE, SIDE), 250, np.uint8), np.zeros((0, 4)), np.zeros(0, int)
    )
    batch = BoxedMixture([numbered(0, 20), healthy]).draw(turn(), 200, AS_IT_IS)
    plain = batch.images[:, 0, 0, 0] > 0.9
    assert 0 < plain.sum() < 200
    assert not batch.present[plain].any()
    assert batch.present[~plain].any()


def test_the_same_array_lies_on_the_device_once() -> None:
    real = numbered(0, 20)
    again = BoxedImages("again", real.images, real.boxes[:5], real.rows[:5], count=100)
    mixture = BoxedMixture([real, again])
    assert (len(mixture), len(mixture._images)) == (120, 20)
    batch = mixture.draw(turn(), 300, AS_IT_IS)
    assert 0 < batch.present.any(1).float().mean() < 0.6  # most come from the set of five boxes


def test_a_batch_is_a_function_of_the_turn_and_is_augmented() -> None:
    mixture = BoxedMixture([numbered(60, 20)])
    first, again, other = (mixture.draw(turn(step), 16, BoxAugmentation()) for step in (0, 0, 1))
    plain = mixture.draw(turn(), 16, AS_IT_IS)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.boxes, again.boxes)
    assert not torch.equal(first.images, other.images)
    assert not torch.equal(first.images, plain.images)
    assert not torch.equal(first.boxes, plain.boxes)


def test_ranks_share_the_batch_of_one() -> None:
    mixture = BoxedMixture([numbered(0, 20), numbered(50, 9)])
    whole = mixture.draw(turn(), 10, BoxAugmentation())
    for rank in range(2):
        share = mixture.draw(turn(0, Distribution(rank, 2)), 10, BoxAugmentation())
        torch.testing.assert_close(share.images, whole.images[rank::2], atol=1e-6, rtol=0)
        torch.testing.assert_close(share.boxes, whole.boxes[rank::2])
        assert torch.equal(share.present, whole.present[rank::2])


def good() -> dict:
    return {
        "images": np.zeros((4, 8, 8), np.uint8),
        "boxes": np.array([[1.0, 1, 3, 3], [0, 0, 8, 8]]),
        "rows": np.array([0, 3]),
    }


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"images": np.zeros((4, 8, 8))}, "image set real: is float64 4x8x8"),
        ({"images": np.zeros((0, 8, 8), np.uint8)}, "holds no images"),
        ({"count": 0}, "has a count of 0"),
        ({"rows": np.array([0])}, "has 2 boxes and 1 rows; give the image of each box"),
        ({"rows": np.array([0, 4])}, "has boxes in other images than its 4; rows are numbers"),
        ({"rows": np.array([0, -1])}, "has boxes in other images than its 4"),
        ({"rows": np.array([0, 1.5])}, "has boxes in other images than its 4"),
        ({"boxes": np.array([[1.0, 1, 3, 3], [0, 0, 9, 8]])}, "image set real: box 1 .* leaves"),
        ({"boxes": np.array([[3.0, 1, 1, 3], [0, 0, 8, 8]])}, "box 0 .* swapped corners"),
        ({"boxes": np.array([[1.0, 1, 1, 3], [0, 0, 8, 8]])}, "box 0 .* no area"),
        ({"boxes": np.array([[1.0, 1, np.nan, 3], [0, 0, 8, 8]])}, "box 0 .* not finite"),
    ],
)
def test_impossible_sets_are_one_line(changes: dict, line: str) -> None:
    with pytest.raises(PathoganError, match=line):
        BoxedImages(**{"name": "real", **good(), **changes})


def test_impossible_arms_are_one_line() -> None:
    none = {"boxes": np.zeros((0, 4)), "rows": np.zeros(0, int)}
    with pytest.raises(PathoganError, match="arm: has no image set"):
        BoxedMixture([])
    with pytest.raises(PathoganError, match="arm: no box in real, gan; add images with lesions"):
        BoxedMixture([BoxedImages(name, good()["images"], **none) for name in ("real", "gan")])
    with pytest.raises(PathoganError, match=r"differ in size \(real 8 px, from 0 64 px\)"):
        BoxedMixture([BoxedImages("real", **good()), numbered(0, 4)])
