"""Images keep every grey level and their place from array to page."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from pathogan_core.figures.images import contact_sheet, image_grid, image_panels, read_sheet


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (7, 5, 5), np.uint8)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def drawn(trace) -> np.ndarray:
    kind, coded = trace.source.split(",")
    assert kind == "data:image/png;base64"
    return pixels(base64.b64decode(coded))


def test_a_sheet_holds_the_images_row_by_row_bit_for_bit(images):
    sheet = pixels(contact_sheet(images, 3))
    assert sheet.shape == (10, 15)
    for i in range(6):
        row, column = divmod(i, 3)
        tile = sheet[5 * row : 5 * row + 5, 5 * column : 5 * column + 5]
        assert np.array_equal(tile, images[i])


def test_a_sheet_is_read_back_into_its_images(images):
    assert np.array_equal(read_sheet(contact_sheet(images, 3), 3), images[:6])


def test_a_grid_shows_its_sheet_and_says_what_it_shows(images):
    figure = image_grid(images, 3, "seven", alt="Seven images of noise.")
    assert np.array_equal(drawn(figure.data[0]), pixels(contact_sheet(images, 3)))
    assert figure.layout.meta["alt"] == "Seven images of noise."
    assert [note.text for note in figure.layout.annotations] == ["seven"]


def test_panels_of_different_sizes_keep_their_order_and_get_room_by_their_rows(images):
    large = np.random.default_rng(1).integers(0, 256, (3, 10, 10), np.uint8)
    figure = image_panels({"small": images, "large": large}, 3, alt="Noise.")
    assert [note.text for note in figure.layout.annotations] == ["small", "large"]
    assert np.array_equal(drawn(figure.data[1]), pixels(contact_sheet(large, 3)))
    upper, lower = figure.layout.yaxis.domain, figure.layout.yaxis2.domain
    assert upper[0] > lower[1]  # one below the other, with room for the second title
    assert upper[1] - upper[0] == pytest.approx(2 * (lower[1] - lower[0]))


def test_a_grid_without_words_for_those_who_cannot_see_is_refused(images):
    with pytest.raises(ValueError, match="alternative text"):
        image_grid(images, 3, "seven", alt=" ")
