"""The figure renderer: a notebook's figure arrives in the page and nothing escapes its block."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from pathogan_core.figures.mystnb import PLOTLY_MIME, PlotlyMime, figure_html


def rendered(figure: dict) -> BeautifulSoup:
    return BeautifulSoup(figure_html(figure), "html.parser")


@given(st.text(), st.text())
def test_json_and_alternative_text_survive_any_characters(alt: str, title: str) -> None:
    figure = {"data": [], "layout": {"title": title, "meta": {"alt": alt}}}
    html = figure_html(figure)
    start = html.index(f'<script type="{PLOTLY_MIME}">') + len(f'<script type="{PLOTLY_MIME}">')
    # A browser ends the block at the first "</script", wherever it stands.
    block = html[start : html.lower().index("</script", start)]
    assert json.loads(block) == figure


def test_markup_in_the_alternative_text_is_text() -> None:
    soup = rendered({"data": [], "layout": {"meta": {"alt": '"><img src=x onerror=1>'}}})
    assert soup.find("img") is None
    assert soup.select_one(".pg-figure")["aria-label"] == '"><img src=x onerror=1>'  # type: ignore[index]


def test_the_height_is_reserved_before_the_figure_is_drawn() -> None:
    assert "--pg-height:333px" in figure_html({"data": [], "layout": {"height": 333}})


@pytest.mark.parametrize("layout", [{}, {"meta": None}, {"meta": "x"}, {"meta": {}}])
def test_a_figure_without_alternative_text_still_has_a_label(layout: dict) -> None:
    assert rendered({"layout": layout}).select_one(".pg-figure")["aria-label"]  # type: ignore[index]


def test_other_outputs_are_left_to_the_book() -> None:
    def output(mime: str) -> SimpleNamespace:
        return SimpleNamespace(mime_type=mime, content={"data": []})

    assert PlotlyMime.handle_mime(None, output("text/html"), False) is None
    assert PlotlyMime.handle_mime(None, output(PLOTLY_MIME), True) is None
    assert PlotlyMime.handle_mime(None, output(PLOTLY_MIME), False) is not None
