"""The box that a reader drags: every tile is in the page, and belongs to its box."""

from __future__ import annotations

import base64
import io
import json
import re

import numpy as np
from PIL import Image

from pathogan_core.figures.box_player import SHEET_COLUMNS, BoxPlayer

SIZE = 8


def player(alt: str = "A slice whose lesion follows a box.") -> BoxPlayer:
    """Two sides, three rows, four columns; tile n is of brightness n."""
    tiles = np.arange(24, dtype=np.uint8).reshape(2, 3, 4, 1, 1)
    images = np.broadcast_to(tiles, (2, 3, 4, SIZE, SIZE)).copy()
    boxes = np.arange(24.0).reshape(2, 3, 4, 1) + np.array([0, 0, 1, 1])
    return BoxPlayer(images, boxes, np.full((SIZE, SIZE), 99, np.uint8), 3.0, alt)


def data_of(html: str) -> dict:
    found = re.search(r"data = (\{.*?\});", html)
    assert found
    return json.loads(found[1])


def sheet_of(html: str) -> np.ndarray:
    found = re.search(r"data:image/png;base64,([A-Za-z0-9+/=]+)", html)
    assert found
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(found[1]))))


def test_tile_n_of_the_sheet_belongs_to_box_n_and_the_one_after_the_last_to_no_box() -> None:
    html = player()._repr_html_()
    data, sheet = data_of(html), sheet_of(html)
    assert data["shape"] == [2, 3, 4]
    assert data["columns"] == SHEET_COLUMNS
    for number, box in enumerate([*data["boxes"], None]):
        row, column = divmod(number, data["columns"])
        tile = sheet[row * SIZE :, column * SIZE :][:SIZE, :SIZE]
        assert (tile == (99 if box is None else number)).all()
        assert box is None or box[0] == number


def test_controls_reach_every_box_and_begin_at_one() -> None:
    html = player()._repr_html_()
    ends = {}
    for name, last, value in re.findall(
        r'name="(\w+)" type="range" min="0" max="(\d+)" value="(\d+)"', html
    ):
        ends[name] = int(last)
        assert 0 <= int(value) <= int(last)
    assert ends == {"column": 3, "row": 2, "side": 1}


def test_it_asks_for_nothing_from_elsewhere_and_says_what_it_is() -> None:
    html = player('A "slice" & a box')._repr_html_()
    assert "http" not in html
    assert 'aria-label="A &quot;slice&quot; &amp; a box"' in html
    assert "$" not in html.replace("\\$", "")  # no placeholder is left
