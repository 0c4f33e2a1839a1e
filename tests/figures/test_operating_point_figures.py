"""The figures of detectors' operating points draw the numbers they are given, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.metric import Metric
from pathogan_core.experiments.published_table4 import operating_points
from pathogan_core.figures.operating_points import precision_by_arm, sensitivity_fps


@dataclass(frozen=True)
class Point:
    label: str
    iou: float
    sensitivity: Metric
    fps_per_slice: float
    precision: float
    group: str = "g"
    short: str = "0"


@pytest.fixture(scope="module")
def points():
    return list(operating_points().values())


def traces_of_panel(figure, row):
    axis = "y" if row == 1 else f"y{row}"
    return [trace for trace in figure.data if trace.yaxis == axis]


def test_every_arm_stands_in_the_panel_of_its_threshold(points):
    figure = sensitivity_fps(points, "real only")
    for row, iou in enumerate((0.25, 0.5), start=1):
        own = [point for point in points if point.iou == iou]
        traces = traces_of_panel(figure, row)
        assert [trace.name for trace in traces] == list(dict.fromkeys(p.group for p in own))
        assert [x for trace in traces for x in trace.x] == [p.fps_per_slice for p in own]
        assert [y for trace in traces for y in trace.y] == [100 * p.sensitivity.value for p in own]
        assert [text for trace in traces for text in trace.text] == [p.short for p in own]
        ends = np.array([p.sensitivity.interval for p in own]).T * 100
        for sign, bars, side in ((-1, "arrayminus", 0), (1, "array", 1)):
            drawn = [y + sign * bar for t in traces
                     for y, bar in zip(t.y, t.error_y[bars], strict=True)]  # fmt: skip
            assert drawn == pytest.approx(ends[side])
    titles = [note.text for note in figure.layout.annotations if note.text.startswith("IoU")]
    assert titles == ["IoU ≥ 0.25", "IoU ≥ 0.5"]


def test_a_group_is_in_the_legend_once_and_has_one_colour(points):
    figure = sensitivity_fps(points, "real only")
    shown = [trace.name for trace in figure.data if trace.showlegend]
    assert len(shown) == len(set(shown)) == 4
    looks = {}
    for trace in figure.data:
        looks.setdefault(trace.name, set()).add((trace.marker.color, trace.marker.symbol))
    assert all(len(look) == 1 for look in looks.values())
    assert len(set.union(*looks.values())) == 4


def inside(figure, row):
    """Labels of the marks within the shaded rectangle of a panel."""
    axis = "y" if row == 1 else f"y{row}"
    (shade,) = (shape for shape in figure.layout.shapes if shape.yref == axis)
    return [
        trace.customdata[i].split("</b>")[0].removeprefix("<b>")
        for trace in traces_of_panel(figure, row)
        for i, (x, y) in enumerate(zip(trace.x, trace.y, strict=True))
        if shade.x0 <= x < shade.x1 and shade.y0 < y <= shade.y1
    ]


def test_shaded_are_the_arms_that_beat_the_baseline_on_both_axes(points):
    figure = sensitivity_fps(points, "real only")
    for row, real in ((1, (3.59, 83)), (2, (4.11, 67))):
        assert inside(figure, row) == ["8k image-to-image"]
        shade = figure.layout.shapes[row - 1]
        assert (shade.x0, shade.x1, shade.y0) == pytest.approx((0, *real))
    figure = sensitivity_fps(points, "12k CPGGAN")
    assert inside(figure, 1) == []
    assert inside(figure, 2) == ["4k CPGGAN"]


def test_axes_hold_every_mark_and_its_interval(points):
    figure = sensitivity_fps(points, "real only")
    for row, axis in ((1, figure.layout.yaxis), (2, figure.layout.yaxis2)):
        for trace in traces_of_panel(figure, row):
            assert min(np.subtract(trace.y, trace.error_y.arrayminus)) > axis.range[0]
            assert max(np.add(trace.y, trace.error_y.array)) < axis.range[1]
            assert max(trace.x) < figure.layout.xaxis.range[1]


def test_precision_of_every_arm_sits_in_its_row(points):
    figure = precision_by_arm(points, "real only")
    labels = list(figure.layout.yaxis.ticktext)
    assert labels == list(dict.fromkeys(point.label for point in points))
    for trace, iou in zip(figure.data, (0.25, 0.5), strict=True):
        own = [point for point in points if point.iou == iou]
        assert trace.name == f"IoU ≥ {iou}"
        assert [labels[round(y)] for y in trace.y] == [point.label for point in own]
        assert list(trace.x) == [100 * point.precision for point in own]
    lines = [shape.x0 for shape in figure.layout.shapes]
    assert lines == [100 * p.precision for p in points if p.label == "real only"]


def test_hover_gives_what_the_table_does_not_print(points):
    for figure in (sensitivity_fps(points, "real only"), precision_by_arm(points, "real only")):
        said = " ".join(text for trace in figure.data for text in trace.customdata)
        assert "<b>4k CPGGAN</b>, IoU ≥ 0.25<br>sensitivity 91.0% (89.4% to 92.5%)" in said
        assert "7.18 false positives per slice<br>precision 29.3%" in said
        assert "3,094 boxes" in said


def test_alternative_texts_name_the_numbers(points):
    alt = sensitivity_fps(points, "real only").layout.meta["alt"]
    assert "real only finds 83.0% with 3.59 false positives per slice" in alt
    assert "better on both axes: 8k image-to-image; most sensitive: 4k CPGGAN, 91.0%" in alt
    assert "none" in sensitivity_fps(points, "8k image-to-image").layout.meta["alt"]
    assert "8k image-to-image 47.9%" in precision_by_arm(points, "real only").layout.meta["alt"]


def test_a_sensitivity_without_an_interval_is_a_bare_mark():
    point = Point("a", 0.5, Metric(0.5, 10), 1.0, 0.25)
    (trace,) = sensitivity_fps([point], "a").data
    assert list(trace.error_y.array) == list(trace.error_y.arrayminus) == [0]
    assert "sensitivity 50.0%, 10 boxes" in trace.customdata[0]


@pytest.mark.parametrize("draw", [sensitivity_fps, precision_by_arm])
def test_what_cannot_be_drawn_is_told_in_one_line(draw):
    one = Point("a", 0.5, Metric(0.5, 10), 1.0, 0.25)
    other = Point("b", 0.25, Metric(0.5, 10), 1.0, 0.25)
    for points, baseline, message in (
        ([], "a", "no arms"),
        ([one], "c", "no arm is called 'c' at every IoU threshold"),
        ([one, other], "a", "no arm is called 'a' at every IoU threshold"),
    ):
        with pytest.raises(PathoganError, match=message) as caught:
            draw(points, baseline)
        assert "\n" not in str(caught.value)
