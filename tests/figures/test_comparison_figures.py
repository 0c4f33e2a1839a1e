"""Arms are compared with the numbers they are given."""

from __future__ import annotations

import numpy as np
import pytest

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.classification import Difference
from pathogan_core.figures.comparison import (
    ComparedArm,
    Effect,
    paired_differences,
    when_it_helps,
)


def arm(label: str, value: float, p_adjusted: float = 0.5, group: str = "") -> ComparedArm:
    interval = (value - 0.02, value + 0.01)
    accuracy = Difference(value, interval, p_adjusted / 2, p_adjusted, 3, 22)
    auc = Difference(value / 2, interval, 0.9, 1.0, 1, 22)
    return ComparedArm(label, {"accuracy": accuracy, "auc": auc}, group)


@pytest.fixture
def arms():
    return [
        arm("classic", 0.03, 0.049, "scratch"),
        arm("PGGAN", -0.01, 0.051, "scratch"),
        arm("classic", 0.04, 0.001, "pre-trained"),
        arm("MUNIT", 0.05, 0.9, "pre-trained"),
    ]


def marks(figure):
    return {trace.name: trace for trace in figure.data if trace.name is not None}


def test_every_difference_sits_in_its_row_with_its_interval(arms):
    figure = paired_differences(arms)
    labels = list(figure.layout.yaxis.ticktext)
    assert labels == ["classic", "PGGAN", "MUNIT"]
    assert list(marks(figure)) == ["scratch", "pre-trained"]
    for group, trace in marks(figure).items():
        own = [a for a in arms if a.group == group]
        found = [a.differences["accuracy"] for a in own]
        low, high = np.array([one.interval for one in found]).T * 100
        assert [labels[round(y)] for y in trace.y] == [a.label for a in own]
        assert list(trace.x) == pytest.approx([100 * one.value for one in found])
        assert np.subtract(trace.x, trace.error_x.arrayminus) == pytest.approx(low)
        assert np.add(trace.x, trace.error_x.array) == pytest.approx(high)


def test_the_measure_asked_for_is_drawn_in_its_own_unit(arms):
    figure = paired_differences(arms, "auc")
    assert list(marks(figure)["scratch"].x) == pytest.approx([0.015, -0.005])
    assert "points" not in figure.layout.xaxis.title.text
    assert "points" in paired_differences(arms).layout.xaxis.title.text


def test_a_filled_mark_holds_after_correction_and_its_group_keeps_its_shape(arms):
    scratch, pretrained = marks(paired_differences(arms)).values()
    assert [symbol.endswith("-open") for symbol in scratch.marker.symbol] == [False, True]
    assert [symbol.endswith("-open") for symbol in pretrained.marker.symbol] == [False, True]
    shapes = [{s.removesuffix("-open") for s in t.marker.symbol} for t in (scratch, pretrained)]
    assert [len(shape) for shape in shapes] == [1, 1]
    assert shapes[0] != shapes[1]


def test_it_is_the_adjusted_p_that_marks():
    one = Difference(0.1, (0.0, 0.2), 0.01, 0.06, 3, 22)
    figure = paired_differences([ComparedArm("a", {"accuracy": one})])
    assert figure.data[0].marker.symbol[0].endswith("-open")


@pytest.mark.parametrize("values", [(0.05, 0.2), (-0.3, -0.1), (-0.1, 0.2), (0.0, 0.0)])
def test_the_axis_holds_zero_and_every_interval(values):
    arms = [arm(str(number), value) for number, value in enumerate(values)]
    figure = paired_differences(arms)
    low, high = figure.layout.xaxis.range
    ends = [100 * end for a in arms for end in a.differences["accuracy"].interval]
    assert low < min(0, *ends)
    assert high > max(0, *ends)
    assert [(line.x0, line.x1) for line in figure.layout.shapes] == [(0, 0)]


def test_groups_do_not_cover_each_other(arms):
    first, second = marks(paired_differences(arms)).values()
    assert abs(first.y[0] - second.y[0]) > 0.1


def test_a_legend_is_there_where_there_are_groups(arms):
    assert all(trace.showlegend for trace in paired_differences(arms).data)
    assert not paired_differences([arm("a", 0.1)]).data[0].showlegend


def test_hover_gives_what_the_difference_rests_on(arms):
    hover = marks(paired_differences(arms))["scratch"].customdata[1]
    assert "PGGAN" in hover
    assert "−1.0 (−3.0 to +0.0)" in hover
    assert "p 0.025, after Holm 0.051" in hover
    assert "3 seeds, 22 patients" in hover
    assert "1 seed," in marks(paired_differences(arms, "auc"))["scratch"].customdata[0]


@pytest.fixture
def effects():
    return [
        Effect("classic", 16, 0.01, (-0.01, 0.02)),
        Effect("classic", 2, 0.06, (0.03, 0.10)),
        Effect("classic", 4, 0.03, (0.01, 0.06)),
        Effect("PGGAN", 2, -0.02, (-0.05, 0.01)),
        Effect("PGGAN", 16, 0.02, (0.01, 0.04)),
    ]


def test_each_arm_is_a_line_in_the_order_of_x(effects):
    classic, pggan = when_it_helps(effects, "real patients").data
    assert (classic.name, pggan.name) == ("classic", "PGGAN")
    assert list(classic.y) == pytest.approx([6, 3, 1])
    assert list(pggan.y) == pytest.approx([-2, 2])
    assert np.subtract(classic.y, classic.error_y.arrayminus) == pytest.approx([3, 1, -1])
    assert np.add(classic.y, classic.error_y.array) == pytest.approx([10, 6, 2])
    assert classic.marker.symbol != pggan.marker.symbol
    assert "lines" in classic.mode


def test_marks_of_one_x_stand_apart_but_nearest_to_it(effects):
    classic, pggan = when_it_helps(effects, "real patients").data
    ticks = np.array([2, 4, 16])
    for trace, expected in ((classic, [2, 4, 16]), (pggan, [2, 16])):
        distances = np.abs(np.log(np.array(trace.x)[:, None] / ticks))
        assert list(ticks[distances.argmin(axis=1)]) == expected
    assert pggan.x[0] > classic.x[0]
    alone = when_it_helps(effects[:3], "real patients").data[0]
    assert list(alone.x) == pytest.approx([2, 4, 16])


def test_the_logarithmic_axis_has_the_numbers_of_the_experiment(effects):
    axis = when_it_helps(effects, "real patients").layout.xaxis
    assert axis.type == "log"
    assert axis.title.text == "real patients"
    assert list(axis.tickvals) == [2, 4, 16]
    assert list(axis.ticktext) == ["2", "4", "16"]
    assert 10 ** axis.range[0] < 2
    assert 10 ** axis.range[1] > 16


@pytest.fixture
def settings():
    """At 0, too, where a logarithm has no place."""
    return [
        Effect("classic", 2, 0.01, (-0.01, 0.02)),
        Effect("classic", 0, 0.06, (0.03, 0.10)),
        Effect("classic", 0.5, 0.03, (0.01, 0.06)),
        Effect("PGGAN", 0, -0.02, (-0.05, 0.01)),
    ]


def test_a_setting_has_a_linear_axis_on_which_0_has_a_place(settings):
    figure = when_it_helps(settings, "roughness", "matched_sensitivity", counted=False)
    axis = figure.layout.xaxis
    assert axis.type == "linear"
    assert list(axis.tickvals) == [0, 0.5, 2]
    assert list(axis.ticktext) == ["0", "0.5", "2"]
    assert axis.range[0] < 0
    assert axis.range[1] > 2
    classic, pggan = figure.data
    assert list(classic.y) == pytest.approx([6, 3, 1])
    asides = np.subtract(classic.x, [0, 0.5, 2])
    assert asides == pytest.approx([asides[0]] * 3)
    assert asides[0] < 0 < pggan.x[0] == pytest.approx(-asides[0])
    assert pggan.x[0] - classic.x[0] < 0.1
    assert list(when_it_helps(settings[:3], "roughness", counted=False).data[0].x) == [0, 0.5, 2]


def test_a_setting_is_told_before_its_value(settings):
    figure = when_it_helps(settings, "roughness", "matched_sensitivity", counted=False)
    assert "roughness 0.5" in figure.data[0].customdata[1]
    assert "Against roughness" in figure.layout.meta["alt"]
    assert "PGGAN −2.0 at 0" in figure.layout.meta["alt"]


def test_ticks_that_would_touch_are_left_out():
    effects = [Effect("a", x, 0.0, (0.0, 0.0)) for x in (1, 100, 101, 10_000)]
    assert list(when_it_helps(effects, "images").layout.xaxis.ticktext) == ["1", "100", "10,000"]


def test_one_place_of_an_experiment_is_enough():
    axis = when_it_helps([Effect("a", 8, 0.1, (0.0, 0.2))], "real patients").layout.xaxis
    assert 10 ** axis.range[0] < 8 < 10 ** axis.range[1]
    assert list(axis.ticktext) == ["8"]


def test_counts_are_told_whole_and_ratios_to_three_digits():
    effects = [Effect("a", x, 0.1, (0.0, 0.2)) for x in (3.35570, 12_000.0)]
    figure = when_it_helps(effects, "images")
    assert list(figure.layout.xaxis.ticktext) == ["3.36", "12,000"]
    assert "3.36 images" in figure.data[0].customdata[0]
    assert "at 12,000" in figure.layout.meta["alt"]


def test_effects_are_drawn_around_a_line_at_zero(effects):
    for chosen in (effects, effects[1:3]):
        figure = when_it_helps(chosen, "real patients")
        assert [(line.y0, line.y1) for line in figure.layout.shapes] == [(0, 0)]
        low, high = figure.layout.yaxis.range
        ends = [100 * end for effect in chosen for end in effect.interval]
        assert low < min(0, *ends)
        assert high > max(0, *ends)


def test_hover_of_an_effect_gives_the_true_x(effects):
    hover = when_it_helps(effects, "real patients").data[1].customdata[0]
    assert "PGGAN" in hover
    assert "2 real patients" in hover
    assert "−2.0 (−5.0 to +1.0)" in hover


def test_alternative_texts_name_what_is_seen(arms, effects):
    alt = paired_differences(arms).layout.meta["alt"]
    assert "scratch: classic +3.0 (+1.0 to +4.0), PGGAN −1.0" in alt
    assert "2 of 4 differ" in alt
    assert "PGGAN −2.0 at 2, +2.0 at 16" in when_it_helps(effects, "patients").layout.meta["alt"]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: paired_differences([]), "no arms"),
        (lambda: paired_differences([arm("a", 0.1)], "f1"), "'f1' is unknown"),
        (lambda: paired_differences([arm("a", 0.1)], "sensitivity"), "arm a: has no sensitivity"),
        (lambda: when_it_helps([], "patients"), "no effects"),
        (lambda: when_it_helps([Effect("a", 0, 0.1, (0, 1))], "patients"), "patients: x is 0"),
        (lambda: when_it_helps([Effect("a", 1, 0.1, (0, 1))], "patients", "f1"), "'f1' is unknown"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_one_line(draw, message):
    with pytest.raises(PathoganError, match=message) as caught:
        draw()
    assert "\n" not in str(caught.value)
