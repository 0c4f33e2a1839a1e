"""Ring curves: what is drawn where."""

from __future__ import annotations

import pytest

from pathogan_core.evaluation.box_profiles import EDGES, RINGS
from pathogan_core.figures.box_profiles import BORDER, box_profiles, lesion_shares


def metric(value: float) -> dict:
    return {"value": value, "interval": [value - 1, value + 2], "n": 7}


def test_each_ring_lies_in_its_middle_with_its_interval() -> None:
    found = {f"profile_{ring}": metric(20.0 - ring) for ring in range(RINGS - 1)}
    figure = box_profiles({"not measured": {}, "one": found})
    (curve,) = figure.data
    assert curve.name == "one"
    assert len(curve.x) == RINGS - 1
    assert all(
        low < x < high for low, x, high in zip(EDGES[:-2], curve.x, EDGES[1:-1], strict=True)
    )
    assert list(curve.y) == [20.0 - ring for ring in range(RINGS - 1)]
    assert list(curve.error_y.array) == pytest.approx([2.0] * (RINGS - 1))
    assert list(curve.error_y.arrayminus) == pytest.approx([1.0] * (RINGS - 1))
    assert [line.x0 for line in figure.layout.shapes if line.x0 == line.x1] == [BORDER]
    assert "one +20.0 at the centre and +17.0 inside the border" in figure.layout.meta["alt"]


def test_groups_keep_their_colours_whoever_is_missing() -> None:
    found = {f"profile_{ring}": metric(1.0) for ring in range(RINGS - 1)}
    both = box_profiles({"one": found, "two": found})
    second = box_profiles({"one": {}, "two": found})
    assert both.data[1].line.color == second.data[0].line.color != both.data[0].line.color


def test_lesion_shares_have_every_ring() -> None:
    found = {f"lesion_share_{ring}": metric(90.0 - ring) for ring in range(RINGS)}
    figure = lesion_shares({"real": found})
    assert list(figure.data[0].y) == [90.0 - ring for ring in range(RINGS)]
    assert "real 90% at the centre and 87% inside the border" in figure.layout.meta["alt"]
    assert "none" in lesion_shares({}).layout.meta["alt"]
