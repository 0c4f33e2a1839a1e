"""FROC figures draw the curves that they are given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.detection import Froc
from pathogan_core.evaluation.paired import Difference
from pathogan_core.figures.comparison import ComparedArm, paired_differences
from pathogan_core.figures.detection import POINTS, FrocArm, froc_figure


def curve(*points: tuple[float, float, float], lesions: int = 10) -> Froc:
    """Of points (score, false positives per image, sensitivity)."""
    scores, fps, sensitivity = np.array(points, dtype=float).reshape(-1, 3).T
    return Froc(scores, fps, sensitivity, lesions)


ONE = curve((0.9, 0, 0.2), (0.5, 0.5, 0.2), (0.2, 1.0, 0.6), (0.1, 2.0, 0.6), (0.0005, 4.0, 0.8))
TWO = curve((0.8, 0.5, 0.4), (0.3, 1.0, 0.4), (0.01, 3.0, 0.8))


def lines(figure) -> list:
    return [trace for trace in figure.data if trace.mode == "lines"]


def marks(figure) -> list:
    return [trace for trace in figure.data if trace.mode == "markers"]


def read(trace, level: float) -> float:
    """The staircase's height at a number of false positives."""
    return np.asarray(trace.y)[np.asarray(trace.x) <= level][-1] / 100


def test_one_seed_is_one_staircase_through_the_readings_of_its_curve():
    (trace,) = lines(froc_figure([FrocArm("real", [ONE])]))
    assert trace.line.shape == "hv"
    assert (trace.x[0], trace.x[-1]) == (0, 4)
    for level in (0, 0.3, 0.99, 1, 1.5, 3.9, 4):
        assert read(trace, level) == pytest.approx(ONE.at(level).sensitivity)
    assert "run 1 of 1" in trace.hovertemplate


def test_the_mean_is_taken_at_equal_false_positives_as_far_as_all_seeds_go():
    *seeds, mean = lines(froc_figure([FrocArm("real", [ONE, TWO])]))
    for level in (0, 0.3, 0.5, 0.99, 1, 2.5, 3):
        expected = (ONE.at(level).sensitivity + TWO.at(level).sensitivity) / 2
        assert read(mean, level) == pytest.approx(expected)
    assert mean.x[-1] == 3
    assert [trace.x[-1] for trace in seeds] == [4, 3]
    assert all(trace.line.width < mean.line.width for trace in seeds)
    assert [trace.showlegend for trace in (*seeds, mean)] == [False, False, True]


def test_the_mark_stands_at_the_score_threshold():
    for threshold, x, y in ((0.001, (2 + 3) / 2, 70), (0.5, 0.5, 30), (0.85, 0, 10)):
        (mark,) = marks(froc_figure([FrocArm("real", [ONE, TWO])], threshold=threshold))
        assert list(mark.x) == pytest.approx([x])
        assert list(mark.y) == pytest.approx([y])


def test_arms_differ_in_colour_or_dash_and_hide_as_a_whole():
    figure = froc_figure([FrocArm(f"arm {k}", [ONE, TWO]) for k in range(10)])
    means = [trace for trace in lines(figure) if trace.showlegend]
    assert [trace.name for trace in means] == [f"arm {k}" for k in range(10)]
    assert len({(trace.line.color, trace.line.dash) for trace in means}) == 10
    for name in ("arm 0", "arm 9"):
        own = [trace for trace in figure.data if trace.legendgroup == name]
        assert len(own) == 4
        assert len({(trace.line.color or trace.marker.color) for trace in own}) == 1


def test_a_logarithmic_axis_begins_at_the_fewest_false_positives():
    figure = froc_figure([FrocArm("real", [ONE]), FrocArm("more", [TWO])], logarithmic=True)
    for trace, expected in zip(lines(figure), (ONE, TWO), strict=True):
        assert trace.x[0] == 0.5
        assert read(trace, 0.5) == pytest.approx(expected.at(0.5).sensitivity)
    low, high = figure.layout.xaxis.range
    assert low < np.log10(0.5) < np.log10(4) < high
    (mark,) = marks(froc_figure([FrocArm("real", [ONE])], logarithmic=True, threshold=0.85))
    assert list(mark.x) == [0.5]


def test_long_curves_are_thinned_to_points_of_their_own():
    count = 5000
    rising = np.linspace(0, 1, count)
    long = Froc(np.linspace(1, 0, count), np.linspace(0, 8, count), rising, count)
    (trace,) = lines(froc_figure([FrocArm("real", [long])]))
    assert len(trace.x) == POINTS
    assert (trace.x[0], trace.x[-1]) == (0, 8)
    for x, y in zip(trace.x, trace.y, strict=True):
        assert y / 100 == pytest.approx(long.at(x).sensitivity)


def test_an_arm_without_detections_is_a_mark_at_the_origin():
    figure = froc_figure([FrocArm("blind", [curve()]), FrocArm("real", [ONE])])
    assert (marks(figure)[0].x[0], marks(figure)[0].y[0]) == (0, 0)
    assert set(lines(figure)[0].y) == {0}
    assert froc_figure([FrocArm("blind", [curve()])]).layout.xaxis.range[1] > 0


def test_the_axis_ends_where_asked():
    assert froc_figure([FrocArm("real", [ONE])], up_to=2).layout.xaxis.range[1] < 2.1
    assert froc_figure([FrocArm("real", [ONE])]).layout.xaxis.range[1] >= 4


def test_alternative_text_names_the_marks():
    alt = froc_figure([FrocArm("real", [ONE]), FrocArm("more", [TWO])]).layout.meta["alt"]
    assert "real 60.0% at 2.00, more 80.0% at 3.00" in alt
    assert "0.001" in alt


def drawing(curves: Sequence[Froc], **options):
    return lambda: froc_figure([FrocArm("a", curves)], **options)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: froc_figure([]), "no arms"),
        (drawing([]), "arm a: has no curves"),
        (drawing([ONE, curve((0.5, 1, np.nan), lesions=0)]), "arm a: has no truth boxes"),
        (drawing([curve((0.5, 0, 1))], logarithmic=True), "no curve has a false positive"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_one_line(draw, message):
    with pytest.raises(PathoganError, match=message) as caught:
        draw()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("measure", "x", "title"),
    [
        ("fps_per_image", 0.46, "FPs per image minus baseline<br>"),
        ("matched_sensitivity", 46, "sensitivity at matched FPs minus baseline, points<br>"),
        ("mean_sensitivity", 46, "mean sensitivity minus baseline, points<br>"),
    ],
)
def test_differences_of_detectors_are_drawn_in_their_own_units(measure, x, title):
    one = Difference(0.46, (0.2, 0.7), 0.01, 0.02, 3, 22)
    figure = paired_differences([ComparedArm("more", {measure: one})], measure)
    assert list(figure.data[0].x) == pytest.approx([x])
    assert figure.layout.xaxis.title.text.startswith(title)
