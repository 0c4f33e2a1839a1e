"""The figures of classifier arms draw the numbers they are given, all of them, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.metric import Metric
from pathogan_core.experiments.published_table2 import Share, count_arms, headline
from pathogan_core.figures.classification import arm_intervals, sensitivity_specificity


@dataclass(frozen=True)
class Arm:
    group: str
    label: str
    short: str
    accuracy: Share | Metric
    sensitivity: Share | Metric
    specificity: Share | Metric


def arm(name: str, found: int, cleared: int, n: int = 10, group: str = "g") -> Arm:
    shares = Share(found + cleared, 2 * n), Share(found, n), Share(cleared, n)
    return Arm(group, name, name[0], *shares)


@pytest.fixture(scope="module")
def arms():
    return list(count_arms().values())


def marks(figure):
    return {trace.name: trace for trace in figure.data if trace.name}


def percent(deviates):
    return 100 * stats.norm.cdf(np.asarray(deviates, dtype=float))


@pytest.mark.parametrize("measure", ["accuracy", "sensitivity", "specificity"])
def test_every_arm_sits_in_its_row_with_its_interval(arms, measure):
    figure = arm_intervals(arms, measure)
    labels = list(figure.layout.yaxis.ticktext)
    assert len(labels) == 10
    assert sum(len(trace.x) for trace in figure.data) == 20
    for group, trace in marks(figure).items():
        own = [a for a in arms if a.group == group]
        assert [labels[round(y)] for y in trace.y] == [a.label for a in own]
        low, high = np.array([getattr(a, measure).interval for a in own]).T * 100
        assert list(trace.x) == pytest.approx([100 * getattr(a, measure).value for a in own])
        assert np.subtract(trace.x, trace.error_x.arrayminus) == pytest.approx(low)
        assert np.add(trace.x, trace.error_x.array) == pytest.approx(high)
    assert figure.layout.xaxis.title.text == measure


def test_groups_do_not_cover_each_other(arms):
    first, second = marks(arm_intervals(arms)).values()
    assert min(abs(np.subtract(first.y, second.y))) > 0.1


def test_each_group_has_its_own_baseline(arms):
    lines = arm_intervals(arms, "accuracy", "real only").layout.shapes
    expected = [100 * a.accuracy.value for a in arms if a.label == "real only"]
    assert [line.x0 for line in lines] == pytest.approx(expected)
    assert not arm_intervals(arms).layout.shapes


def test_plane_shows_both_measures_with_their_intervals(arms):
    for group, trace in marks(sensitivity_specificity(arms)).items():
        own = [a for a in arms if a.group == group]
        for axis, bars, measure in (
            (trace.x, trace.error_x, "specificity"),
            (trace.y, trace.error_y, "sensitivity"),
        ):
            shares = [getattr(a, measure) for a in own]
            low, high = np.array([share.interval for share in shares]).T * 100
            assert percent(axis) == pytest.approx([100 * share.value for share in shares])
            assert percent(np.subtract(axis, bars.arrayminus)) == pytest.approx(low)
            assert percent(np.add(axis, bars.array)) == pytest.approx(high)


def test_ticks_are_where_their_percentages_are(arms):
    layout = sensitivity_specificity(arms).layout
    for axis in (layout.xaxis, layout.yaxis):
        assert len(axis.tickvals) > 3
        assert percent(axis.tickvals) == pytest.approx([float(t[:-1]) for t in axis.ticktext])
        assert min(axis.tickvals) >= axis.range[0]


def test_axes_hold_every_interval(arms):
    figure = sensitivity_specificity(arms)
    for trace in marks(figure).values():
        assert min(np.subtract(trace.x, trace.error_x.arrayminus)) > figure.layout.xaxis.range[0]
        assert max(np.add(trace.y, trace.error_y.array)) < figure.layout.yaxis.range[1]


def test_guides_join_equal_d_prime(arms):
    figure = sensitivity_specificity(arms)
    notes = [a.text for a in figure.layout.annotations]
    assert len(figure.layout.shapes) == len(notes) > 1
    for line, text in zip(figure.layout.shapes, notes, strict=True):
        d_prime = float(text.removeprefix("d' = "))
        assert line.x0 + line.y0 == pytest.approx(d_prime)
        assert line.x1 + line.y1 == pytest.approx(d_prime)


def test_thin_lines_join_the_groups_of_one_label(arms):
    lines = [trace for trace in sensitivity_specificity(arms).data if trace.mode == "lines"]
    assert len(lines) == 10
    ends = {
        (round(x, 6), round(y, 6)) for line in lines for x, y in zip(line.x, line.y, strict=True)
    }
    drawn = marks(sensitivity_specificity(arms)).values()
    assert ends == {
        (round(x, 6), round(y, 6)) for t in drawn for x, y in zip(t.x, t.y, strict=True)
    }


def test_arms_at_one_place_share_a_mark(arms):
    pretrained = marks(sensitivity_specificity(arms))["pre-trained on ImageNet"]
    assert list(pretrained.text) == ["1", "2", "3,5", "4", "", "6", "7", "8", "9", "10"]


def test_arrow_goes_from_the_first_arm_to_the_second(arms):
    to, from_ = headline(count_arms())[0]
    arrow = next(
        a for a in sensitivity_specificity(arms, (from_, to)).layout.annotations if a.showarrow
    )
    assert percent([arrow.ax, arrow.ay]) == pytest.approx(
        [100 * from_.specificity.value, 100 * from_.sensitivity.value]
    )
    assert percent([arrow.x, arrow.y]) == pytest.approx(
        [100 * to.specificity.value, 100 * to.sensitivity.value]
    )


def test_hover_gives_all_measures(arms):
    hover = marks(sensitivity_specificity(arms))["from scratch"].customdata[7]
    assert "(8) classic + MUNIT" in hover
    assert "sensitivity 97.5% (96.4% to 98.3%), n 1,232" in hover
    assert "accuracy 96.3%" in hover


def test_all_or_none_right_is_still_on_the_plane():
    figure = sensitivity_specificity([arm("all", 10, 10), arm("none", 0, 0)])
    trace = figure.data[-1]
    assert np.isfinite([*trace.x, *trace.y, *trace.error_x.array]).all()
    assert percent(trace.x) == pytest.approx([95, 5])


def test_a_measure_without_an_interval_is_a_bare_mark():
    bare = Metric(0.9, 10)
    figures = (
        arm_intervals([Arm("g", "a", "a", bare, bare, bare)]),
        sensitivity_specificity([Arm("g", "a", "a", bare, bare, bare)]),
    )
    for figure in figures:
        trace = figure.data[-1]
        assert list(trace.error_x.array) == list(trace.error_x.arrayminus) == [0]
        assert "accuracy 90.0%, n 10" in trace.customdata[0]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: arm_intervals([]), "no arms"),
        (lambda: sensitivity_specificity([]), "no arms"),
        (lambda: arm_intervals([arm("a", 5, 5)], "auc"), "'auc' is unknown"),
        (lambda: arm_intervals([arm("a", 5, 5)], baseline="b"), "called 'b'"),
        (lambda: sensitivity_specificity([arm("a", 5, 5), arm("b", 5, 5, 11)]), "different sets"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_one_line(draw, message):
    with pytest.raises(PathoganError, match=message) as caught:
        draw()
    assert "\n" not in str(caught.value)


def test_alternative_texts_name_the_numbers(arms):
    assert "classic + MUNIT 96.3%" in arm_intervals(arms).layout.meta["alt"]
    assert "97.5%" in sensitivity_specificity(arms).layout.meta["alt"]
