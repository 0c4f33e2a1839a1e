"""A followed image keeps every pixel, and changes keep their sign."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from pathogan_core.errors import PathoganError
from pathogan_core.figures.refinement import Followed, change, in_colour, stages_followed


@pytest.fixture
def followed():
    rng = np.random.default_rng(0)

    def image(size: int) -> np.ndarray:
        return rng.integers(0, 256, (size, size), np.uint8)

    return [
        Followed(image(size), image(size), {"MUNIT": image(size), "SimGAN": image(size)})
        for size in (6, 8)
    ]


def pixels(trace) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(trace.source.split(",")[1]))))


def extent(trace):
    rows, columns = pixels(trace).shape[:2]
    left, top = trace.x0 - trace.dx / 2, trace.y0 - trace.dy / 2
    return left, top, left + columns * trace.dx, top + rows * trace.dy


def test_each_image_is_a_row_of_its_stages_pixel_by_pixel(followed):
    grey = [trace for trace in stages_followed(followed).data if pixels(trace).ndim == 2]
    for image, trace in zip(followed, grey, strict=True):
        stages = [image.nearest, image.generated, *image.refined.values()]
        assert np.array_equal(pixels(trace), np.hstack(stages))


def test_changes_lie_below_the_refined_images(followed):
    figure = stages_followed(followed, factor=3)
    for image, (row, changes) in zip(followed, (figure.data[0:2], figure.data[2:4]), strict=True):
        expected = [in_colour(change(image.generated, r), 3) for r in image.refined.values()]
        assert np.array_equal(pixels(changes), np.hstack(expected))
        left, top, right, bottom = extent(row)
        assert (left, right, bottom - top) == pytest.approx((0, 4, 1))
        assert extent(changes) == pytest.approx((2, bottom, 4, bottom + 1))
    last = extent(figure.data[3])[3]
    assert figure.layout.yaxis.range == pytest.approx((last, 0))


def test_colours_tell_sign_and_size_and_nothing_is_black():
    levels = np.arange(-255, 256)
    colours = in_colour(levels, 4).astype(int)
    assert colours[255].tolist() == [0, 0, 0]
    brightness = colours.sum(axis=1)
    assert (np.diff(brightness[:256]) <= 0).all()
    assert (np.diff(brightness[255:]) >= 0).all()
    blue, orange = colours[:255], colours[256:]
    assert (blue[:, 2] > blue[:, 0]).all()
    assert (orange[:, 0] > orange[:, 2]).all()


def test_the_full_colour_is_reached_at_255_over_the_factor():
    full = in_colour(np.array([-255, 255]), 1)
    assert np.array_equal(in_colour(np.array([-51, 51]), 5), full)
    assert np.array_equal(in_colour(np.array([-200, 200]), 5), full)
    assert not np.array_equal(in_colour(np.array([-40, 40]), 5), full)


def test_a_change_keeps_its_sign_beyond_eight_bits():
    before, after = np.array([[200, 0]], np.uint8), np.array([[10, 255]], np.uint8)
    assert change(before, after).tolist() == [[-190, 255]]


def test_columns_are_titled_and_the_factor_is_named_with_its_scale(followed):
    notes = stages_followed(followed, factor=5).layout.annotations
    texts = [note.text for note in notes]
    titles = {note.x: note.text for note in notes if note.y == 0}
    assert titles == {0.5: "nearest real", 1.5: "PGGAN", 2.5: "MUNIT", 3.5: "SimGAN"}
    assert any("×5" in text for text in texts)
    assert {"−51", "+51"} <= set(texts)


def test_the_key_shows_the_colours_of_the_changes(followed):
    key = pixels(stages_followed(followed, factor=5).data[-1])
    assert np.array_equal(key[0], in_colour(np.linspace(-51, 51, key.shape[1]), 5))


def test_the_alternative_text_names_what_is_seen(followed):
    alt = stages_followed(followed, factor=5).layout.meta["alt"]
    assert "MUNIT and by SimGAN" in alt
    assert "5 times enlarged" in alt


def square(size: int) -> np.ndarray:
    return np.zeros((size, size), np.uint8)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: stages_followed([]), "no images"),
        (lambda: stages_followed([Followed(square(2), square(2), {})]), "the same refiners"),
        (
            lambda: stages_followed(
                [Followed(square(2), square(2), {name: square(2)}) for name in "ab"]
            ),
            "the same refiners",
        ),
        (
            lambda: stages_followed([Followed(square(2), square(2), {"a": square(2)})], factor=0),
            "factor: is 0",
        ),
        (lambda: Followed(square(2), square(2), {"a": square(3)}), "3x3 px, not 2x2"),
        (lambda: Followed(square(2)[:1], square(2)[:1], {}), "1x2 px, not 1x1"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_one_line(draw, message):
    with pytest.raises(PathoganError, match=message) as caught:
        draw()
    assert "\n" not in str(caught.value)
