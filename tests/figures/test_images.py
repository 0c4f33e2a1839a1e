"""Images keep every grey level and their place from array to page."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from pathogan_core.figures.images import contact_sheet, image_grid


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (7, 5, 5), np.uint8)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_a_sheet_holds_the_images_row_by_row_bit_for_bit(images):
    sheet = pixels(contact_sheet(images, 3))
    assert sheet.shape == (10, 15)
    for i in range(6):
        row, column = divmod(i, 3)
        tile = sheet[5 * row : 5 * row + 5, 5 * column : 5 * column + 5]
        assert np.array_equal(tile, images[i])


def test_a_grid_shows_its_sheet_and_says_what_it_shows(images):
    figure = image_grid(images, 3, "seven", alt="Seven images of noise.")
    kind, coded = figure.data[0].source.split(",")
    assert kind == "data:image/png;base64"
    assert np.array_equal(pixels(base64.b64decode(coded)), pixels(contact_sheet(images, 3)))
    assert figure.layout.meta["alt"] == "Seven images of noise."
    assert figure.layout.title.text == "seven"


def test_a_grid_without_words_for_those_who_cannot_see_is_refused(images):
    with pytest.raises(ValueError, match="alternative text"):
        image_grid(images, 3, "seven", alt=" ")
