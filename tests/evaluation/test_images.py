from __future__ import annotations

import numpy as np
import pytest
import torch

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.images import area_resize, as_tensor, as_uint8, check_images


def test_every_grey_level_survives_the_round_trip() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    assert np.array_equal(as_uint8(as_tensor(levels)), levels)
    assert as_tensor(levels).min() == -1
    assert as_tensor(levels).max() == 1


def test_values_beyond_the_range_are_clipped_and_not_wrapped() -> None:
    image = torch.tensor([[-7.0, -1.0], [1.0, 7.0]]).view(1, 1, 2, 2)
    assert as_uint8(image).tolist() == [[[0, 0], [255, 255]]]


def test_area_resize_is_the_mean_of_the_covered_pixels() -> None:
    images = torch.rand(2, 1, 128, 128)
    blocks = images.reshape(2, 1, 64, 2, 64, 2).mean((3, 5))
    torch.testing.assert_close(area_resize(images, 64), blocks)


@pytest.mark.parametrize(
    ("images", "line"),
    [
        (np.zeros((3, 8, 8), np.float32), "float32, not uint8"),
        ([1, 2], "list, not uint8"),
        (np.zeros((3, 8, 9), np.uint8), r"\[3, 8, 9\], not \[N, S, S\]"),
        (np.zeros((3, 1, 8, 8), np.uint8), "not"),
        (np.zeros((0, 8, 8), np.uint8), "0 given, at least 1 needed"),
    ],
)
def test_unfit_images_are_named(images: object, line: str) -> None:
    with pytest.raises(PathoganError, match=f"real images: .*{line}"):
        check_images(images, "real")  # type: ignore[arg-type]
