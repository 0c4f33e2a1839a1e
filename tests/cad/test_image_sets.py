"""Mixing image sets: proportions, labels that follow their images, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pathogan_core.cad.image_sets import ImageSet, Mixture
from pathogan_core.errors import PathoganError
from pathogan_core.training.augmentation import ClassicAugmentation
from pathogan_core.training.distribution import Distribution
from pathogan_core.training.phases import Turn
from pathogan_core.training.randomness import generator_for

SIDE = 8
AUGMENTATION = ClassicAugmentation()


def turn(step: int = 0, distribution: Distribution | None = None) -> Turn:
    return Turn(step, 0, 0, generator_for(0, step), distribution or Distribution())


def numbered(first: int, n: int, **options) -> ImageSet:
    """Images that are their own number, in grey; odd ones are of the tumour class."""
    numbers = np.arange(first, first + n)
    images = np.repeat(numbers.astype(np.uint8), SIDE * SIDE).reshape(n, SIDE, SIDE)
    return ImageSet(f"from {first}", images, numbers % 2, **options)


def numbers_of(images: torch.Tensor) -> np.ndarray:
    """The number of each image, and that the image is that number in every pixel."""
    grey = ((images + 1) * 127.5).round()
    assert (grey == grey[:, :, :1, :1]).all()
    return grey[:, 0, 0, 0].int().numpy()


def test_labels_follow_their_images_in_every_set() -> None:
    mixture = Mixture([numbered(0, 20), numbered(40, 9, count=30), numbered(101, 50)])
    images, labels = mixture.draw(turn(), 500, AUGMENTATION)
    assert images.shape == (500, 1, SIDE, SIDE)
    assert np.array_equal(numbers_of(images) % 2, labels.numpy())


def test_every_image_comes_up_and_none_else() -> None:
    images, _ = Mixture([numbered(0, 20), numbered(40, 9)]).draw(turn(), 2000, AUGMENTATION)
    assert set(numbers_of(images)) == {*range(20), *range(40, 49)}


def test_sets_come_in_proportion_to_their_counts_and_images_evenly() -> None:
    mixture = Mixture([numbered(0, 2), numbered(10, 4, count=6)])
    assert len(mixture) == 8
    drawn = numbers_of(mixture.draw(turn(), 40_000, AUGMENTATION)[0])
    expected = {0: 1 / 8, 1: 1 / 8, **dict.fromkeys(range(10, 14), 6 / 8 / 4)}
    for number, share in expected.items():
        deviation = np.sqrt(share * (1 - share) / len(drawn))
        assert np.mean(drawn == number) == pytest.approx(share, abs=4.5 * deviation)


def test_only_images_of_augmented_sets_are_changed() -> None:
    """Plain images are flat and dark; augmented ones are bright, with black from outside."""
    mixture = Mixture([numbered(0, 10), numbered(200, 10, augmented=True)])
    images, labels = mixture.draw(turn(), 300, AUGMENTATION)
    centre = ((images[:, 0, SIDE // 2, SIDE // 2] + 1) * 127.5).round().int()
    plain = centre < 100
    assert 0 < plain.sum() < 300
    numbers_of(images[plain])  # holds that they are flat
    changed = (images[~plain] != images[~plain][:, :, 4:5, 4:5]).flatten(1).any(1)
    assert changed.float().mean() > 0.9  # black comes in from outside
    assert np.array_equal(centre[plain].numpy() % 2, labels[plain].numpy())


def test_the_same_array_lies_on_the_device_once() -> None:
    real = numbered(0, 20)
    again = ImageSet("classic", real.images, real.labels, count=100, augmented=True)
    mixture = Mixture([real, again, numbered(51, 3)])
    assert len(mixture) == 123
    assert len(mixture._images) == 23
    images, labels = mixture.draw(turn(), 400, ClassicAugmentation(False, False, 0, 0, 0, 0))
    assert np.array_equal(numbers_of(images) % 2, labels.numpy())


def test_a_batch_is_a_function_of_the_turn() -> None:
    mixture = Mixture([numbered(0, 20, augmented=True)])
    first, again, other = (mixture.draw(turn(step), 16, AUGMENTATION) for step in (0, 0, 1))
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], other[0])


def test_ranks_share_the_batch_of_one() -> None:
    mixture = Mixture([numbered(0, 20), numbered(50, 9, augmented=True)])
    whole, labels = mixture.draw(turn(), 10, AUGMENTATION)
    for rank in range(2):
        share, share_labels = mixture.draw(turn(0, Distribution(rank, 2)), 10, AUGMENTATION)
        torch.testing.assert_close(share, whole[rank::2], atol=1e-6, rtol=0)
        assert torch.equal(share_labels, labels[rank::2])


def good() -> dict:
    return {"images": np.zeros((4, 8, 8), np.uint8), "labels": np.array([0, 1, 0, 1])}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"images": np.zeros((4, 8, 8))}, "image set real: is float64 4x8x8"),
        ({"images": np.zeros((0, 8, 8), np.uint8)}, "holds no images"),
        ({"images": np.zeros((4, 8, 9), np.uint8)}, "not square"),
        ({"labels": np.zeros(3, int)}, "has 4 images and 3 labels"),
        ({"labels": np.array([0, 1, 2, 1])}, "labels other than 0 and 1"),
        ({"count": 0}, "has a count of 0"),
    ],
)
def test_impossible_sets_are_one_line(changes: dict, line: str) -> None:
    with pytest.raises(PathoganError, match=line):
        ImageSet(**{"name": "real", **good(), **changes})


@pytest.mark.parametrize(
    ("sets", "line"),
    [
        ([], "arm: has no image set"),
        (
            [
                ImageSet("real", **good()),
                ImageSet("gan", np.zeros((1, 9, 9), np.uint8), np.ones(1)),
            ],
            r"differ in size \(real 8 px, gan 9 px\)",
        ),
        (
            [ImageSet("real", np.zeros((2, 8, 8), np.uint8), np.ones(2))],
            "no image of class non-tumour in real",
        ),
    ],
)
def test_impossible_arms_are_one_line(sets: list[ImageSet], line: str) -> None:
    with pytest.raises(PathoganError, match=line):
        Mixture(sets)
