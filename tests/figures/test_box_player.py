"""The box that a reader drags: every tile is in the page, and belongs to its box."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import re
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from pathogan_core.figures import box_player
from pathogan_core.figures.box_player import CHANGE_GAIN, SHEET_COLUMNS, BoxPlayer, draggable

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
    ranges = data_of(player()._repr_html_())["ranges"]
    assert {name: values["max"] for name, values in ranges.items()} == {
        "column": 3, "row": 2, "side": 1,
    }  # fmt: skip
    for values in ranges.values():
        assert (values["min"], values["step"]) == (0, 1)
        assert 0 <= values["value"] <= values["max"]


def test_it_asks_for_nothing_from_elsewhere_and_says_what_it_is() -> None:
    html = player('A "slice" & a box')._repr_html_()
    assert "http" not in html
    assert 'aria-label="A &quot;slice&quot; &amp; a box"' in html
    assert not re.search(r"\$[a-z]", html)  # no placeholder is left


def fake_shell(metadata: dict[str, str]) -> SimpleNamespace:
    return SimpleNamespace(get_parent=lambda: {"metadata": metadata})


@pytest.mark.parametrize("shell", [None, SimpleNamespace(), fake_shell({})])
def test_where_no_reader_asks_the_page_s_player_stays(
    monkeypatch: pytest.MonkeyPatch, shell: SimpleNamespace | None
) -> None:
    ipython = pytest.importorskip("IPython")
    monkeypatch.setattr(ipython, "get_ipython", lambda: shell)
    shown = player()
    assert draggable(shown, lambda _: pytest.fail("nobody asked")) is shown  # type: ignore[return-value]


def test_a_reader_without_anywidget_has_the_player_too(monkeypatch: pytest.MonkeyPatch) -> None:
    ipython = pytest.importorskip("IPython")
    monkeypatch.setattr(ipython, "get_ipython", lambda: fake_shell({"cellId": "a"}))
    found = importlib.util.find_spec
    monkeypatch.setattr(box_player, "find_spec", lambda n: None if n == "anywidget" else found(n))
    shown = player()
    assert draggable(shown, lambda _: shown.nothing) is shown


def test_a_reader_in_jupyterlab_has_the_widget_with_the_player_s_first_box(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("anywidget")
    ipython = pytest.importorskip("IPython")
    monkeypatch.setattr(ipython, "get_ipython", lambda: fake_shell({"cellId": "a"}))
    boxes = np.broadcast_to(np.array([1.0, 2, 3, 4]), (2, 3, 4, 4)).copy()
    boxes[1, 1, 1] = [2, 4, 5, 7]  # the first one shown
    shown = player()
    widget = draggable(
        BoxPlayer(shown.images, boxes, shown.nothing, 3.0, "a box"), lambda _: shown.nothing
    )
    assert [widget.ranges[name]["value"] for name in ("column", "row", "side")] == [3.5, 5.5, 3]
    assert (widget.size, widget.pixel_mm, widget.alt) == (SIZE, 3.0, "a box")


@pytest.fixture
def page(chromium) -> Iterator[object]:  # type: ignore[no-untyped-def]
    """The player in a page, drawn; fails if the page complains."""
    errors: list[str] = []
    opened = chromium.new_page()
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.set_content(f"<!doctype html>{player()._repr_html_()}")
    opened.wait_for_function(f"({GREY})(0, 0.5, 0.9) > 0")
    yield opened
    opened.close()
    assert errors == []


# Red of a canvas at shares (x, y) of its side.
GREY = """(number, x, y) => {
  const canvas = document.querySelectorAll("canvas")[number];
  const at = (share) => Math.floor(share * canvas.width);
  return canvas.getContext("2d").getImageData(at(x), at(y), 1, 1).data[0];
}"""


@pytest.mark.browser
def test_a_click_takes_the_nearest_box_of_the_size_at_hand(page) -> None:  # type: ignore[no-untyped-def]
    page.uncheck("[name=outline]")
    assert page.evaluate(f"({GREY})(0, 0.5, 0.5)") == (1 * 3 + 1) * 4 + 1
    page.fill("[name=side]", "0")  # boxes n .. n + 1 along the diagonal, n to 11
    area = page.locator("canvas").first.bounding_box()
    for pixel in (7.4, 3.6):
        share = pixel / SIZE
        page.mouse.click(area["x"] + share * area["width"], area["y"] + share * area["height"])
        assert page.evaluate(f"({GREY})(0, 0.5, 0.5)") == int(pixel)
        row, column = divmod(int(pixel), 4)
        assert page.input_value("[name=row]") == str(row)
        assert page.input_value("[name=column]") == str(column)
    assert page.inner_text("output") == "A box of 3 mm."


@pytest.mark.browser
def test_the_difference_is_to_the_slice_without_a_box(page) -> None:  # type: ignore[no-untyped-def]
    page.uncheck("[name=outline]")
    blue = f"({GREY.replace('data[0]', 'data[2]')})(1, 0.5, 0.5)"
    assert page.evaluate(blue) == CHANGE_GAIN * (99 - 17)  # darker than without
    assert page.evaluate(f"({GREY})(1, 0.5, 0.5)") == 0
    page.uncheck("[name=asked]")
    assert page.evaluate(f"({GREY})(0, 0.5, 0.5)") == 99
    assert page.evaluate(blue) == 0
    assert page.inner_text("output").startswith("No box")
