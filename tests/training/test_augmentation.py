"""Classic augmentation against exact index maps and SciPy's interpolation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from pathogan_core.errors import PathoganError
from pathogan_core.training.augmentation import ClassicAugmentation, warp

NONE = {
    "horizontal_flip": False, "vertical_flip": False,
    "rotation": 0.0, "shift": 0.0, "shear": 0.0, "zoom": 0.0,
}  # fmt: skip
MIDDLE = 0.5
"""The uniform number at which a symmetric range gives nothing, and no flip happens."""


def images(n: int = 3, side: int = 16, seed: int = 0) -> torch.Tensor:
    return 2 * torch.rand(n, 1, side, side, generator=torch.Generator().manual_seed(seed)) - 1


def uniform(n: int = 3, seed: int = 1) -> torch.Tensor:
    return torch.rand(n, ClassicAugmentation.DRAWS, generator=torch.Generator().manual_seed(seed))


def drawn(n: int = 1, **chosen: float) -> torch.Tensor:
    """Uniform numbers that change nothing but what is `chosen`."""
    order = ("horizontal", "vertical", "rotation", "shear", "zoom", "across", "down")
    numbers = torch.full((n, len(order)), MIDDLE)
    for name, value in chosen.items():
        numbers[:, order.index(name)] = value
    return numbers


def with_scipy(image: np.ndarray, linear: np.ndarray, offset: np.ndarray, fill: float):
    """`linear` and `offset` (pixels) map (x, y) from the centre of output to that of the input."""
    centre = (np.array(image.shape) - 1) / 2
    by_row = linear[::-1, ::-1]
    return ndimage.affine_transform(
        image, by_row, centre - by_row @ centre + offset[::-1],
        order=1, mode="grid-constant", cval=fill,
    )  # fmt: skip


@pytest.mark.parametrize("fill", [-1.0, 0.25])
def test_warp_equals_scipy_for_any_matrix(fill: float) -> None:
    rng = np.random.default_rng(2)
    for _ in range(10):
        linear, offset = np.eye(2) + rng.normal(0, 0.3, (2, 2)), rng.normal(0, 3, 2)
        picture = images(1, side=17, seed=int(rng.integers(1000)))
        matrix = torch.from_numpy(np.c_[linear, 2 * offset / 17])[None]
        expected = with_scipy(picture[0, 0].double().numpy(), linear, offset, fill)
        found = warp(picture, matrix, fill)[0, 0].numpy()
        np.testing.assert_allclose(found, expected, atol=2e-5)


def test_a_quarter_turn_is_an_index_map() -> None:
    picture = images(1)
    quarter = torch.tensor([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]])
    torch.testing.assert_close(
        warp(picture, quarter, -1.0), picture.rot90(1, (-2, -1)), atol=1e-5, rtol=0
    )


def rotation(degrees: float) -> np.ndarray:
    angle = math.radians(degrees)
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


@pytest.mark.parametrize(
    ("chosen", "linear", "offset"),
    [
        ({"rotation": 1.0}, rotation(10), (0, 0)),
        ({"rotation": 0.0}, rotation(-10), (0, 0)),
        ({"shear": 1.0}, np.array([[1, 0.08], [0, 1]]), (0, 0)),
        ({"zoom": 1.0}, np.eye(2) / 1.08, (0, 0)),
        ({"zoom": 0.0}, np.eye(2) / 0.92, (0, 0)),
        ({"across": 1.0}, np.eye(2), (4, 0)),
        ({"down": 0.0}, np.eye(2), (0, -4)),
    ],
)
def test_the_ends_of_the_thesis_ranges(chosen, linear, offset) -> None:
    """10 degrees; 8% as slope, as magnification, and of the side: 4 of 50 pixels."""
    picture = images(1, side=50)
    found = ClassicAugmentation()(picture, drawn(**chosen))[0, 0].numpy()
    expected = with_scipy(picture[0, 0].double().numpy(), linear, np.array(offset), -1.0)
    np.testing.assert_allclose(found, expected, atol=5e-5)


def test_all_at_once_is_rotation_after_shear_after_zoom() -> None:
    picture = images(1, side=40)
    numbers = drawn(rotation=0.9, shear=0.1, zoom=0.8, across=0.3, down=0.7)
    shear = np.array([[1, 0.08 * -0.8], [0, 1]])
    linear, offset = rotation(8) @ shear / (1 + 0.08 * 0.6), 40 * 0.08 * np.array([-0.4, 0.4])
    expected = with_scipy(picture[0, 0].double().numpy(), linear, offset, -1.0)
    found = ClassicAugmentation()(picture, numbers)[0, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=5e-5)


@pytest.mark.parametrize(("name", "dimension"), [("horizontal", -1), ("vertical", -2)])
def test_flips_are_exact_and_happen_below_a_half(name: str, dimension: int) -> None:
    picture = images(1)
    flips = ClassicAugmentation(**{**NONE, f"{name}_flip": True})
    assert torch.equal(flips(picture, drawn(**{name: 0.49})), picture.flip(dimension))
    assert torch.equal(flips(picture, drawn(**{name: 0.51})), picture)


def test_ranges_of_zero_are_the_identity_bit_for_bit() -> None:
    picture = images(8)
    assert torch.equal(ClassicAugmentation(**NONE)(picture, uniform(8)), picture)


def test_what_comes_in_from_outside_is_the_fill_and_nothing_else() -> None:
    """A white image shifted by 4 of 50 pixels to the left shows 4 columns of fill on the right."""
    white = torch.ones(1, 1, 50, 50)
    for fill in (-1.0, 0.5):
        moved = ClassicAugmentation(**{**NONE, "shift": 0.08}, fill=fill)(white, drawn(across=1.0))
        expected = white.clone()
        expected[..., -4:] = fill
        torch.testing.assert_close(moved, expected, atol=1e-5, rtol=0)


def test_an_image_does_not_depend_on_the_others_of_its_batch() -> None:
    pictures, numbers, augment = images(9), uniform(9), ClassicAugmentation()
    together = augment(pictures, numbers)
    alone = torch.cat([augment(pictures[i : i + 1], numbers[i : i + 1]) for i in range(9)])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)
    others = torch.cat([images(8, seed=5), pictures[-1:]])
    assert torch.equal(augment(others, numbers)[-1], together[-1])


def test_every_image_has_its_own_draw() -> None:
    same = images(1).expand(6, -1, -1, -1)
    augmented = ClassicAugmentation()(same, uniform(6))
    assert len({tuple(image.flatten().tolist()) for image in augmented}) == 6


def test_autocast_does_not_coarsen_the_grid() -> None:
    pictures, numbers, augment = images(4, side=64), uniform(4), ClassicAugmentation()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = augment(pictures, numbers)
    assert torch.equal(mixed, augment(pictures, numbers))


@pytest.mark.parametrize(
    ("changes", "line"),
    [({"rotation": -1.0}, "rotation: is -1"), ({"zoom": 1.0}, "zoom: 1.0 would shrink"),
     ({"shift": float("nan")}, "shift: is nan")],
)  # fmt: skip
def test_impossible_ranges_are_one_line(changes: dict[str, float], line: str) -> None:
    with pytest.raises(PathoganError, match=line):
        ClassicAugmentation(**changes)
