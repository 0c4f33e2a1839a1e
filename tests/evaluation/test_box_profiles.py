"""Ring profiles: closed forms of discs and filled boxes, and the truth of known lesions."""

from __future__ import annotations

import numpy as np
import pytest

from pathogan_core.evaluation import box_profiles
from pathogan_core.evaluation.box_profiles import EDGES, RINGS, box_rings

SIZE = 128
GREY, BRIGHT = 100, 202
HEIGHT = 100 * (BRIGHT - GREY) / 255
BOX = np.array([[32.0, 32, 96, 96]])  # half a side is 32 px


def painted(inside: np.ndarray) -> np.ndarray:
    return np.where(inside, BRIGHT, GREY).astype(np.uint8)


def square(low: int, high: int) -> np.ndarray:
    inside = np.zeros((SIZE, SIZE), bool)
    inside[low:high, low:high] = True
    return inside


def disc(radius: float) -> np.ndarray:
    middles = np.arange(SIZE) + 0.5 - SIZE / 2
    return middles**2 + middles[:, None] ** 2 < radius**2


def disc_in_square(radius: float, half: float) -> float:
    """Area of a disc within a square about the same centre, by fine sampling."""
    at = (np.arange(2000) + 0.5) / 2000 * half
    return 4 * half**2 * float((at**2 + at[:, None] ** 2 < radius**2).mean())


def brightness(image: np.ndarray, box: np.ndarray = BOX) -> np.ndarray:
    return box_rings(image[None], [box]).brightness[0]


def test_a_filled_box_is_even_to_its_border_and_nothing_beyond() -> None:
    rings = brightness(painted(square(32, 96)))
    assert rings == pytest.approx([HEIGHT] * 4 + [0] * 3)


def test_a_disc_in_its_box_falls_as_its_area_in_each_ring_does() -> None:
    radius = 24.0
    within = [disc_in_square(radius, 32 * edge) if edge else 0.0 for edge in EDGES]
    areas = np.diff([(64 * edge) ** 2 for edge in EDGES])
    expected = HEIGHT * np.diff(within) / areas
    assert brightness(painted(disc(radius))) == pytest.approx(expected, abs=0.02 * HEIGHT)


@pytest.mark.parametrize("box", [(32, 32, 96, 96), (20, 52, 68, 76), (61, 60, 65, 72)])
def test_boxes_of_every_size_and_shape_have_one_profile(box: tuple[int, int, int, int]) -> None:
    """The inner half of each is filled."""
    corners = np.array(box)
    quarter = (corners[2:] - corners[:2]) // 4
    left, top = corners[:2] + quarter
    right, bottom = corners[2:] - quarter
    inside = np.zeros((SIZE, SIZE), bool)
    inside[top:bottom, left:right] = True
    rings = brightness(painted(inside), corners[None].astype(float))
    assert rings == pytest.approx([HEIGHT] * 2 + [0] * 5)


def test_background_and_other_boxes_are_not_looked_at() -> None:
    image = painted(square(32, 96))
    image[100:110, 32:96] = 255
    other = np.array([[32.0, 100, 96, 110]])
    assert brightness(image)[5:].max() > -100
    alone = box_rings(image[None], [np.concatenate([BOX, other])])
    assert alone.brightness[0] == pytest.approx([HEIGHT] * 4 + [0] * 3)
    image[100:110, 32:96] = 0
    assert brightness(image) == pytest.approx([HEIGHT] * 4 + [0] * 3)


def test_a_box_with_a_ring_outside_the_brain_counts_in_no_ring() -> None:
    image = painted(square(32, 96))
    image[56:72, 56:72] = 0  # nothing is left of the innermost ring
    image[48:80, 48:80] = 0
    found = box_rings(np.stack([image, painted(square(32, 96))]), [BOX, BOX])
    assert np.isnan(found.brightness[0]).all()
    metrics = box_profiles.profile(found, np.arange(2), "images")
    assert metrics["profile_0"].n == 1


def test_what_is_left_at_the_border() -> None:
    filled, round_one = painted(square(32, 96)), painted(disc(24))
    for image, expected in ((filled, 100.0), (round_one, 0.0)):
        found = box_rings(np.stack([image] * 5), [BOX] * 5)
        metrics = box_profiles.profile(found, np.arange(5), "images", suffix="_x")
        assert metrics["border_share_x"].value == pytest.approx(expected, abs=1e-6)
        assert metrics["border_share_x"].interval == pytest.approx((expected, expected), abs=1e-6)
        assert set(metrics) == {"border_share_x", *(f"profile_{i}_x" for i in range(RINGS - 1))}


def test_without_a_bright_centre_there_is_no_share_and_without_boxes_nothing() -> None:
    noise = np.random.default_rng(0).integers(80, 120, (6, SIZE, SIZE)).astype(np.uint8)
    noise[::2, 32:96, 32:96] -= 20
    metrics = box_profiles.profile(box_rings(noise, [BOX] * 6), np.arange(6), "images")
    assert "profile_0" in metrics
    assert "border_share" not in metrics
    empty = box_rings(noise, [np.empty((0, 4))] * 6)
    assert box_profiles.profile(empty, np.arange(6), "images") == {}


def test_patients_are_drawn_whole() -> None:
    images = np.stack([painted(square(32, 96))] * 4 + [painted(square(0, 128))] * 4)
    found = box_rings(images, [BOX] * 8)
    by_image = box_profiles.profile(found, np.arange(8), "images")["profile_0"]
    by_patient = box_profiles.profile(found, np.array([*"aaaabbbb"]), "patients")["profile_0"]
    assert by_image.value == by_patient.value == pytest.approx(HEIGHT / 2)
    assert by_patient.interval == pytest.approx((0, HEIGHT))
    assert by_image.interval[0] > 0
    assert by_patient.interval_method == "bootstrap over patients, 95%"


def test_the_known_lesion_of_a_rough_box() -> None:
    lesion = disc(24)
    metrics = box_profiles.lesion_truth(
        painted(lesion)[None], [BOX], (255 * lesion).astype(np.uint8)[None], np.array(["p"])
    )
    assert metrics["lesion_fill"].value == pytest.approx(100 * np.pi * 24**2 / 64**2, rel=0.01)
    assert metrics["lesion_contrast"].value == pytest.approx(HEIGHT)
    shares = [metrics[f"lesion_share_{i}"].value for i in range(RINGS)]
    rings = 100 * brightness(painted(lesion)) / HEIGHT
    assert shares == pytest.approx(rings, abs=1e-3)
    assert (shares[0], shares[-1]) == (pytest.approx(100), pytest.approx(0))


def test_a_box_beside_every_lesion_has_no_fill_and_no_contrast() -> None:
    mask = np.zeros((1, SIZE, SIZE), np.uint8)
    image = painted(square(0, 0))[None]
    metrics = box_profiles.lesion_truth(image, [BOX], mask, np.array(["p"]))
    assert metrics["lesion_fill"].value == 0
    assert "lesion_contrast" not in metrics
