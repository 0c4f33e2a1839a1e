"""A map shows every image at its own mark: in the figure's data, and on a page in a browser."""

from __future__ import annotations

import base64
import io
import json
import shutil
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image
from plotly.offline import get_plotlyjs

from pathogan_core.figures.embedding import TILE_PX, image_map
from pathogan_core.figures.images import read_sheet
from pathogan_core.figures.mystnb import figure_html

STATIC = Path(__file__).resolve().parents[2] / "book" / "_static"
NAMES = ("real, tumour", "real, non-tumour", "synthetic, tumour", "synthetic, non-tumour")
COUNT = 43  # more than fill a row of the sheet
LEVELS = np.array([20, 60, 100, 140, 180, 220, 250], np.uint8)[np.arange(COUNT) % 7]


def example() -> go.Figure:
    """Images of one grey level each, on a circle; every fourth is of one category."""
    angles = 2 * np.pi * np.arange(COUNT) / COUNT
    points = 30 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    categories = np.array(NAMES)[np.arange(COUNT) % 4]
    images = np.broadcast_to(LEVELS[:, None, None], (COUNT, 64, 64))
    return image_map(points, categories, images, alt="Greys on a circle.")


def tiles_of(figure: go.Figure) -> np.ndarray:
    sheet = figure.layout.meta["sprite"]
    kind, coded = sheet["source"].split(",")
    assert kind == "data:image/png;base64"
    tiles = read_sheet(base64.b64decode(coded), sheet["columns"])
    assert len(tiles) == sheet["columns"] * sheet["rows"]
    return tiles


def test_each_mark_has_its_place_its_category_and_the_number_of_its_image() -> None:
    figure = example()
    assert tuple(trace.name for trace in figure.data) == NAMES
    tiles = tiles_of(figure)
    for first, trace in enumerate(figure.data):
        numbers = np.arange(first, COUNT, 4)
        assert trace.customdata.tolist() == numbers.tolist()
        assert trace.x == pytest.approx(30 * np.cos(2 * np.pi * numbers / COUNT))
        assert trace.y == pytest.approx(30 * np.sin(2 * np.pi * numbers / COUNT))
        for number in numbers:
            assert (tiles[number] == LEVELS[number]).all()


def test_traces_follow_the_first_points_of_their_categories() -> None:
    names = ["b", "a", "b", "c", "a"]
    figure = image_map(np.zeros((5, 2)), names, np.zeros((5, 8, 8), np.uint8), alt="Five.")
    assert [(t.name, *t.customdata) for t in figure.data] == [("b", 0, 2), ("a", 1, 4), ("c", 3)]


def test_categories_differ_in_colour_and_in_symbol() -> None:
    marks = [trace.marker for trace in example().data]
    assert len({mark.color for mark in marks}) == len({mark.symbol for mark in marks}) == 4


def test_large_images_are_reduced_and_small_ones_kept() -> None:
    generator = np.random.default_rng(0)
    large = generator.integers(0, 256, (43, 2 * TILE_PX, 2 * TILE_PX), np.uint8)
    figure = image_map(np.zeros((43, 2)), ["one"] * 43, large, alt="Noise.")
    means = large.reshape(43, TILE_PX, 2, TILE_PX, 2).mean(axis=(2, 4))
    tiles = tiles_of(figure)
    assert np.abs(tiles[:43] - means).max() <= 0.5 + 1e-4
    assert (tiles[43:] == 0).all()  # what fills the last row
    small = large[:, :5, :5]
    assert np.array_equal(
        tiles_of(image_map(np.zeros((43, 2)), ["one"] * 43, small, alt="N."))[:43], small
    )


def test_without_the_pages_script_the_label_is_text_and_the_words_stay() -> None:
    figure = json.loads(example().to_json())
    assert figure["layout"]["meta"]["alt"] == "Greys on a circle."
    for trace in figure["data"]:
        assert "fullData.name" in trace["hovertemplate"]
        assert "customdata" in trace["hovertemplate"]


def test_what_cannot_be_told_apart_or_does_not_fit_is_refused() -> None:
    images = np.zeros((5, 8, 8), np.uint8)
    with pytest.raises(ValueError, match="5 categories, at most 4"):
        image_map(np.zeros((5, 2)), list("abcde"), images, alt="Five.")
    with pytest.raises(ValueError, match="4 points, 5 names, 5 images"):
        image_map(np.zeros((4, 2)), list("abcda"), images, alt="Five.")
    with pytest.raises(ValueError, match="alternative text"):
        image_map(np.zeros((5, 2)), list("abcda"), images, alt=" ")


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page as the book lays its files, with a map and a figure that has no images."""
    root = tmp_path_factory.mktemp("site")
    (root / "vendor").mkdir()
    (root / "vendor" / "plotly.min.js").write_text(get_plotlyjs(), encoding="utf-8")
    shutil.copytree(STATIC, root / "_static")
    plain = go.Figure(go.Scatter(x=[0, 1], y=[0, 1], mode="markers"))
    figures = [figure_html(json.loads(figure.to_json())) for figure in (example(), plain)]
    page = root / "page.html"
    page.write_text(
        '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        '<link rel="stylesheet" href="_static/pathogan.css"><script src="_static/figures.js">'
        f"</script><body><p>A map</p>{''.join(figures)}</body>",
        encoding="utf-8",
    )
    return page


MARKS = """() => {
  const plot = document.querySelector('.pg-plot'), box = plot.getBoundingClientRect();
  const {xaxis, yaxis} = plot._fullLayout, marks = [];
  for (const trace of plot._fullData) for (let i = 0; i < trace.x.length; i++) marks.push({
    x: box.x + xaxis._offset + xaxis.l2p(trace.x[i]),
    y: box.y + yaxis._offset + yaxis.l2p(trace.y[i]),
    image: trace.customdata[i], name: trace.name});
  return marks;
}"""


def opened(chromium, page_file: Path, width: int, *, touch: bool):  # type: ignore[no-untyped-def]
    size = {"width": width, "height": 500}
    page = chromium.new_context(viewport=size, has_touch=touch, is_mobile=touch).new_page()
    page.goto(page_file.as_uri())
    page.locator(".pg-figure").nth(1).scroll_into_view_if_needed()
    page.wait_for_function(
        "[...document.querySelectorAll('.pg-figure')].every(f => f.dataset.state === 'drawn')"
    )
    page.evaluate("scrollTo(0, 0)")
    return page


def grey_shown(page) -> int:  # type: ignore[no-untyped-def]
    """Level of the tile, the same to its edges: no neighbour on the sheet shows."""
    png = page.locator(".pg-preview > :first-child").screenshot()
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("L"))[2:-2, 2:-2].astype(int)
    assert np.ptp(pixels) <= 1
    return int(pixels[0, 0])


def check_images(page, point, width: int) -> None:  # type: ignore[no-untyped-def]
    """What `point` brings up at marks from the sheet's corners, and that it goes away again."""
    card = page.locator(".pg-preview")
    assert card.count() == 1  # the other figure has no images
    assert card.is_hidden()
    marks = {mark["image"]: mark for mark in page.evaluate(MARKS)}
    for mark in (marks[0], marks[39], marks[40], marks[42]):
        point(mark["x"], mark["y"])
        page.wait_for_function(
            "name => !document.querySelector('.pg-preview').hidden &&"
            " document.querySelector('.pg-preview').textContent === name",
            arg=mark["name"],
        )
        page.wait_for_timeout(
            400
        )  # a browser follows a tap with a click, which must change nothing
        assert abs(grey_shown(page) - int(LEVELS[mark["image"]])) <= 1
        box = card.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert not box["x"] < mark["x"] < box["x"] + box["width"]  # the mark stays in view
    assert page.locator(".hoverlayer .hovertext").count() == 0  # no second label
    page.keyboard.press("Escape")
    assert card.is_hidden()
    point(marks[0]["x"], marks[0]["y"])
    card.wait_for(state="visible")
    point(5, 5)
    card.wait_for(state="hidden")


@pytest.mark.browser
def test_pointing_at_a_mark_shows_its_image_in_either_theme(chromium, page_file) -> None:
    page = opened(chromium, page_file, 1000, touch=False)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    check_images(page, page.mouse.move, 1000)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    check_images(page, page.mouse.move, 1000)
    focusable = "a[href], button, input, select, textarea, [tabindex]"
    assert page.locator(f".pg-preview :is({focusable})").count() == 0
    assert page.locator(".pg-preview").get_attribute("aria-hidden") == "true"
    assert errors == []
    page.context.close()


@pytest.mark.browser
def test_on_a_phone_a_tap_shows_the_image_and_a_finger_still_scrolls(chromium, page_file) -> None:
    page = opened(chromium, page_file, 320, touch=True)
    check_images(page, page.touchscreen.tap, 320)
    touch = page.context.new_cdp_session(page)

    def send(kind: str, *fingers: dict[str, int]) -> None:
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(fingers)})

    send("touchStart", {"x": 160, "y": 400})
    for y in range(380, 180, -20):
        send("touchMove", {"x": 160, "y": y})
        page.wait_for_timeout(16)
    send("touchEnd")
    page.wait_for_function("scrollY > 50")
    assert page.evaluate("scrollY") > 50
    page.context.close()
