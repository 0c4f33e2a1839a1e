"""A grown network's images and its schedule are drawn as they are given, stage by stage."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from pathogan_core.errors import PathoganError
from pathogan_core.figures.growth import Grown, growth_schedule, growth_slider
from pathogan_core.figures.images import read_sheet


def noise(count: int, size: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size), np.uint8)


@pytest.fixture
def stages():
    real = {4: noise(6, 4, 0), 8: noise(6, 8, 1)}
    return [
        Grown(4, 1.0, real[4], noise(6, 4, 2)),
        Grown(8, 0.5, noise(6, 8, 3), noise(6, 8, 4)),
        Grown(8, 1.0, real[8], noise(6, 8, 5)),
        Grown(8, 1.0, real[8], noise(6, 8, 6)),
    ]


def png(trace) -> bytes:
    kind, coded = trace.source.split(",")
    assert kind == "data:image/png;base64"
    return base64.b64decode(coded)


def extent(trace):
    """Left, top, right and bottom edge as plotly draws a picture, in axis units."""
    width, height = Image.open(io.BytesIO(png(trace))).size
    left, top = trace.x0 - trace.dx / 2, trace.y0 - trace.dy / 2
    return left, top, left + width * trace.dx, top + height * trace.dy


def steps(figure):
    """Of each step: its name, the traces that it shows, and the title that it writes."""
    for step in figure.layout.sliders[0].steps:
        restyle, relayout = step.args
        assert step.method == "update"
        assert len(restyle["visible"]) == len(figure.data)
        shown = [t for t, on in zip(figure.data, restyle["visible"], strict=True) if on]
        yield step.name, shown, relayout["annotations[0].text"]


def test_each_step_shows_the_pictures_of_its_stage_pixel_by_pixel(stages):
    found = [*steps(growth_slider(stages, columns=3))]
    assert len(found) == len(stages)
    for stage, (_, shown, _) in zip(stages, found, strict=True):
        upper, lower = sorted(shown, key=lambda trace: trace.y0)
        assert np.array_equal(read_sheet(png(upper), 3), stage.generated)
        assert np.array_equal(read_sheet(png(lower), 3), stage.real)


def test_steps_and_their_titles_name_resolution_and_alpha(stages):
    found = [*steps(growth_slider(stages))]
    names = ["4 px", "8 px, alpha 0.5", "8 px", "8 px"]
    assert [name for name, _, _ in found] == names
    assert all(name in title for name, (_, _, title) in zip(names, found, strict=True))


def test_the_figure_opens_at_the_step_that_its_slider_shows(stages):
    figure = growth_slider(stages)
    name, shown, title = [*steps(figure)][figure.layout.sliders[0].active]
    assert name == stages[-1].label
    assert [trace for trace in figure.data if trace.visible] == shown
    assert figure.layout.annotations[0].text == title


def test_pictures_of_all_resolutions_fill_the_same_square_tiles(stages):
    figure = growth_slider(stages, columns=3)
    places = {tuple(np.round(extent(trace), 9)) for trace in figure.data}
    (upper, lower) = sorted(places, key=lambda place: place[1])
    assert upper == (0, 0, 3, 2)
    assert (lower[0], lower[2]) == (0, 3)
    assert lower[3] - lower[1] == pytest.approx(2)
    assert lower[1] > upper[3]  # with room for a title
    assert figure.layout.xaxis.range == (0, 3)
    assert figure.layout.yaxis.range == pytest.approx((lower[3], 0))
    assert figure.layout.yaxis.scaleanchor == "x"


def test_a_picture_that_several_stages_share_is_stored_once(stages):
    assert len(growth_slider(stages).data) == 2 * len(stages) - 1


def test_pictures_are_stored_at_their_own_resolution(stages):
    sizes = {Image.open(io.BytesIO(png(trace))).size for trace in growth_slider(stages, 3).data}
    assert sizes == {(12, 8), (24, 16)}


def test_levels_are_named_where_they_begin_on_the_rail(stages):
    notes = [note for note in growth_slider(stages).layout.annotations if note.xref == "paper"]
    assert {note.text: note.x for note in notes} == pytest.approx({"4 px": 0, "8 px": 1 / 3})


def test_fewer_images_than_columns_are_one_row():
    figure = growth_slider([Grown(4, 1.0, noise(2, 4, 0), noise(2, 4, 1))], columns=4)
    assert read_sheet(png(figure.data[0]), 2).shape == (2, 4, 4)


def test_a_single_stage_names_no_levels_for_there_is_no_rail(stages):
    notes = growth_slider(stages[:1]).layout.annotations
    assert [note.text for note in notes if note.xref == "paper"] == []


def test_nothing_can_be_zoomed_away_but_the_slider_moves(stages):
    layout = growth_slider(stages).layout
    assert layout.xaxis.fixedrange
    assert layout.yaxis.fixedrange
    assert "still" not in layout.meta  # the page would freeze the slider


# Two levels and a half: 4 px alone, 8 px fades in, stands alone, 16 px is half faded in at the end.
SCHEDULE = {
    "images": [0, 100, 150, 200, 300, 350],
    "resolutions": [4, 8, 8, 8, 16, 16],
    "alphas": [1.0, 0.0, 0.5, 1.0, 0.0, 0.5],
    "batches": [32, 16, 16, 16, 8, 8],
}


def drawn_height(figure, images: float) -> float:
    """Height of the line at a number of images, between two points of it."""
    for trace in figure.data[:2]:
        parts = np.array([*zip(trace.x, trace.y, strict=True)], dtype=float).reshape(-1, 4, 2)
        for (x0, y0), (x1, y1), *_ in parts:
            if x0 <= images < x1:
                return y0 + (y1 - y0) * (images - x0) / (x1 - x0)
    raise AssertionError(f"no line at {images} images")


@pytest.mark.parametrize(
    ("images", "height"), [(0, 2), (99, 2), (125, 2.25), (175, 2.75), (250, 3), (325, 3.25)]
)
def test_the_line_climbs_by_alpha_and_is_level_in_between(images, height):
    assert drawn_height(growth_schedule(**SCHEDULE), images) == pytest.approx(height)


def test_fades_and_levels_that_stand_alone_are_told_apart():
    alone, fading, _ = growth_schedule(**SCHEDULE).data
    assert [x for x in alone.x if x is not None] == [0, 100, 100, 200, 300, 300]
    assert [x for x in fading.x if x is not None] == [100, 150, 150, 150, 200, 200, 300, 350, 350]
    assert alone.line.dash != fading.line.dash


def test_a_level_without_a_fade_is_a_vertical_step():
    alone, fading, _ = growth_schedule([0, 10, 20], [4, 8, 8], [1.0, 1.0, 1.0], [4, 4, 4]).data
    assert list(alone.x) == [0, 10, 10, None, 10, 20, 20, None]
    assert list(alone.y) == [2, 2, 3, None, 3, 3, 3, None]
    assert len(fading.x) == 0


def test_ticks_are_resolutions_and_batches_stand_where_a_level_does():
    figure = growth_schedule(**SCHEDULE)
    ticks = dict(zip(figure.layout.yaxis.ticktext, figure.layout.yaxis.tickvals, strict=True))
    assert ticks == {"4 px": 2, "8 px": 3, "16 px": 4}
    notes = [(note.x, note.y, note.text) for note in figure.layout.annotations]
    assert notes == [(0, 2, "batch 32"), (200, 3, "batch 16")]
    assert figure.layout.xaxis.range[1] >= 350


def test_pointing_at_the_schedule_gives_all_four_numbers():
    points = growth_schedule(**SCHEDULE).data[2]
    assert list(points.x) == SCHEDULE["images"]
    assert points.customdata[2] == "<b>8 px</b>, alpha 0.5<br>batch 16<br>150 real images seen"


def test_alternative_texts_say_what_grows(stages):
    slider = growth_slider(stages).layout.meta["alt"]
    assert "4 stages" in slider
    assert "4, 8 pixels" in slider
    schedule = growth_schedule(**SCHEDULE).layout.meta["alt"]
    assert "from 4 to 16 pixels in 350 images" in schedule
    assert "4 px 32, 8 px 16, 16 px 8" in schedule


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: growth_slider([]), "no stages"),
        (
            lambda: growth_slider([Grown(4, 1.0, noise(n, 4, 0), noise(n, 4, 1)) for n in (2, 3)]),
            "2 to 3 images",
        ),
        (lambda: Grown(8, 1.0, noise(2, 8, 0), noise(2, 4, 0)), "generated images are 4x4 px"),
        (lambda: Grown(4, 1.0, noise(2, 4, 0), noise(3, 4, 0)), "2 real and 3 generated"),
        (lambda: Grown(4, 1.0, noise(0, 4, 0), noise(0, 4, 0)), "0 real and 0 generated"),
        (lambda: Grown(4, 1.5, noise(1, 4, 0), noise(1, 4, 0)), "alpha is 1.5"),
        (lambda: growth_schedule([], [], [], []), "no schedule"),
        (lambda: growth_schedule([0, 1], [4, 4], [1.0], [8, 8]), r"lengths are \[2, 2, 1, 2\]"),
        (lambda: growth_schedule([0, 0], [4, 4], [1.0, 1.0], [8, 8]), "do not rise"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_one_line(draw, message):
    with pytest.raises(PathoganError, match=message) as caught:
        draw()
    assert "\n" not in str(caught.value)
