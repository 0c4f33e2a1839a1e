"""The Visual Turing Test figures draw the numbers they are given, all of them, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from pathogan_core.evaluation.turing import Confusion, TuringResult, judge
from pathogan_core.experiments.published import turing_reanalysis
from pathogan_core.figures.turing import accuracy_intervals, bias_plane


@dataclass(frozen=True)
class Row:
    group: str
    label: str
    result: TuringResult


@pytest.fixture(scope="module")
def rows():
    return turing_reanalysis()


def marks(figure):
    return {trace.name: trace for trace in figure.data if trace.name}


def test_every_accuracy_sits_in_its_row_with_its_interval(rows):
    figure = accuracy_intervals(rows)
    labels = list(figure.layout.yaxis.ticktext)
    assert labels == list(dict.fromkeys(row.label for row in rows))
    assert list(marks(figure)) == ["DCGAN", "WGAN"]
    for group, trace in marks(figure).items():
        own = [row for row in rows if row.group == group]
        assert [labels[round(y)] for y in trace.y] == [row.label for row in own]
        low, high = np.array([row.result.interval for row in own]).T * 100
        assert list(trace.x) == pytest.approx([100 * row.result.accuracy for row in own])
        assert np.subtract(trace.x, trace.error_x.arrayminus) == pytest.approx(low)
        assert np.add(trace.x, trace.error_x.array) == pytest.approx(high)


def test_groups_do_not_cover_each_other(rows):
    dcgan, wgan = marks(accuracy_intervals(rows)).values()
    assert min(abs(np.subtract(dcgan.y, wgan.y))) > 0.1


def test_open_marks_are_the_setups_not_told_apart(rows):
    for group, trace in marks(accuracy_intervals(rows)).items():
        own = [row for row in rows if row.group == group]
        is_open = [symbol.endswith("-open") for symbol in trace.marker.symbol]
        assert is_open == [not row.told_apart for row in own]


def test_band_and_line_stand_for_guessing(rows):
    shapes = accuracy_intervals(rows).layout.shapes
    assert (39, 61) in [(round(s.x0), round(s.x1)) for s in shapes]
    assert any(s.x0 == s.x1 == 50 for s in shapes)


def test_hover_gives_counts(rows):
    hover = marks(accuracy_intervals(rows))["WGAN"].customdata[1]
    assert "WGAN, T1c 128" in hover
    assert "55 of 100 right" in hover
    assert "13 of 50 real called real" in hover
    assert "42 of 50 synthetic called synthetic" in hover


def test_plane_shows_both_rates_and_all_rows_lean_to_synthetic(rows):
    figure = bias_plane(rows)
    for group, trace in marks(figure).items():
        own = [row for row in rows if row.group == group]
        assert list(trace.x) == pytest.approx(
            [row.row.synthetic_as_synthetic_percent for row in own]
        )
        assert list(trace.y) == pytest.approx([row.row.real_as_real_percent for row in own])
        assert all(x > y for x, y in zip(trace.x, trace.y, strict=True))
    assert "12 of 12" in figure.layout.meta["alt"]


def test_guides_hold_accuracy_and_d_prime_constant(rows):
    guides = [trace for trace in bias_plane(rows).data if trace.mode == "lines"]
    straight = [trace for trace in guides if trace.line.dash == "solid"]
    for trace in straight:
        means = np.add(trace.x, trace.y) / 2
        assert means == pytest.approx(means[0])
    curved = [trace for trace in guides if trace.line.dash == "dot"]
    assert len(straight) == 4
    assert len(curved) == 2
    for trace in curved:
        inside = (np.array(trace.y) > 0.1) & (np.array(trace.y) < 99.9)
        hit = stats.norm.ppf(np.array(trace.y)[inside] / 100)
        false_alarm = stats.norm.ppf(1 - np.array(trace.x)[inside] / 100)
        assert hit - false_alarm == pytest.approx((hit - false_alarm)[0])


def test_names_are_as_short_as_they_can_be_told_apart(rows):
    names = {text for trace in marks(bias_plane(rows)).values() for text in trace.text}
    assert names == {"T1", "T1c", "T2", "FLAIR", "Concat 128", "Concat 64"}


def test_one_reader_one_truth_and_few_answers_still_draw():
    odd = [
        Row("ann", "only real", judge(Confusion(0, 3, 0, 0))),
        Row("ann", "both", judge(Confusion(0, 2, 2, 0))),
    ]
    figure = accuracy_intervals(odd)
    assert figure.layout.xaxis.range[0] == 0
    assert list(marks(bias_plane(odd))["ann"].text) == ["both"]


def test_both_figures_carry_an_alternative_text(rows):
    for figure in (accuracy_intervals(rows), bias_plane(rows)):
        assert "DCGAN and WGAN" in figure.layout.meta["alt"]
