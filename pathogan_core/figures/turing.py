"""Visual Turing Test figures: how well readers tell real from synthetic, and how they lean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from scipy import stats

from pathogan_core.evaluation.turing import ALPHA, TuringResult
from pathogan_core.evaluation.turing_answers import p_text, percent
from pathogan_core.figures.grouped_rows import group_names, group_offset, lay_out_rows
from pathogan_core.figures.style import GUIDE, LABEL_PX, SYMBOLS, finish, legend_above

BAND = "rgba(128,128,128,0.15)"


class TuringRow(Protocol):
    """What the builders draw: a set-up (`label`) of a model or reader (`group`) and its result."""

    @property
    def group(self) -> str: ...

    @property
    def label(self) -> str: ...

    @property
    def result(self) -> TuringResult: ...


def accuracy_intervals(rows: Sequence[TuringRow]) -> go.Figure:
    """Accuracy with its exact 95% interval per set-up, around the 50% of guessing.

    A filled mark differs from 50% (p < 0.05 in that row alone), an open one does not. The grey
    band holds the accuracies that cannot differ at the smallest n shown.
    """
    groups, labels = group_names(rows)
    figure = go.Figure()
    for number, group in enumerate(groups):
        own = [row for row in rows if row.group == group]
        offset = group_offset(number, len(groups))
        symbol = SYMBOLS[number % len(SYMBOLS)]
        results = [row.result for row in own]
        figure.add_trace(
            go.Scatter(
                name=group,
                x=[100 * result.accuracy for result in results],
                y=[labels.index(row.label) + offset for row in own],
                mode="markers",
                marker={
                    "size": 11,
                    "symbol": [symbol if _told_apart(row) else f"{symbol}-open" for row in own],
                    "line": {"width": [0 if _told_apart(row) else 2 for row in own]},
                },
                error_x={
                    "type": "data",
                    "array": [100 * (r.interval[1] - r.accuracy) for r in results],
                    "arrayminus": [100 * (r.accuracy - r.interval[0]) for r in results],
                    "thickness": 2,
                    "width": 4,
                },
                customdata=[_hover(row) for row in own],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    needed = min((row.result for row in rows), key=lambda result: result.n).significant_from
    if needed is not None:
        figure.add_vrect(100 - 100 * needed, 100 * needed, fillcolor=BAND, line_width=0)
    figure.add_vline(50, line={"color": GUIDE, "width": 2, "dash": "dash"})
    lowest = min(100 * row.result.interval[0] for row in rows)
    figure.update_xaxes(
        title=f"right answers (open mark: p ≥ {ALPHA})",
        range=[min(20, 10 * (lowest // 10)), 100.5],
        ticksuffix="%",
        zeroline=False,
    )
    lay_out_rows(figure, labels)
    told = sum(_told_apart(row) for row in rows)
    return finish(
        figure,
        alt=f"Share of right answers with 95% intervals for {len(rows)} set-ups of "
        f"{' and '.join(groups)}. {told} differ from the 50% of guessing. "
        + "; ".join(f"{r.group} {r.label} {percent(r.result.accuracy)}" for r in rows)
        + ".",
    )


def bias_plane(rows: Sequence[TuringRow]) -> go.Figure:
    """Synthetic called synthetic against real called real, with lines of equal accuracy and d'.

    In the grey half a reader leans to "synthetic" (criterion above 0). Straight lines join equal
    accuracies for balanced sets, curves equal d': moving along a curve changes the leaning only.
    Rows that showed one truth only have no place here and are left out.
    """
    drawn = [row for row in rows if row.result.d_prime is not None]
    groups, labels = group_names(drawn)
    short = _shortest_names(labels)
    positions = _label_positions(drawn, short)
    figure = go.Figure()
    for number, group in enumerate(groups):
        own = [row for row in drawn if row.group == group]
        figure.add_trace(
            go.Scatter(
                name=group,
                x=[_point(row)[0] for row in own],
                y=[_point(row)[1] for row in own],
                mode="markers+text",
                text=[short[row.label] for row in own],
                textposition=[positions[row.group, row.label] for row in own],
                textfont={"size": LABEL_PX},
                marker={"size": 11, "symbol": SYMBOLS[number % len(SYMBOLS)]},
                customdata=[_hover(row) for row in own],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    _add_guides(figure)
    axis = {"range": [0, 100], "ticksuffix": "%", "dtick": 20, "zeroline": False}
    figure.update_xaxes(title="synthetic called synthetic", constrain="domain", **axis)
    figure.update_yaxes(title="real called real", scaleanchor="x", constrain="domain", **axis)
    figure.update_layout(height=560, legend=legend_above())
    leaning = sum((row.result.criterion or 0) > 0 for row in drawn)
    return finish(
        figure,
        alt=f"Real images called real against synthetic images called synthetic for {len(drawn)} "
        f"set-ups of {' and '.join(groups)}; {leaning} of {len(drawn)} lie on the side that leans "
        "to answering synthetic.",
    )


def _add_guides(figure: go.Figure) -> None:
    """Lines of equal accuracy (straight), of equal d' (curved), and the side of each leaning."""
    figure.add_shape(
        type="path", path="M 0 0 L 100 0 L 100 100 Z", fillcolor=BAND, line_width=0, layer="below"
    )
    for accuracy in (50, 60, 70, 80):
        ends = [2 * accuracy - 100, 100]
        figure.add_trace(_guide(ends, ends[::-1], dash="solid"))
        _note(figure, accuracy - 17, accuracy + 19, f"{accuracy}% right", textangle=45)
    called = np.linspace(0.001, 0.999, 200)
    for d_prime in (1, 2):
        real = stats.norm.cdf(d_prime - stats.norm.ppf(called))
        figure.add_trace(_guide(100 * called, 100 * real, dash="dot"))
        middle = 100 * float(stats.norm.cdf(d_prime / 2))
        _note(figure, middle, middle, f"d' = {d_prime}", xanchor="right")
    _note(figure, 62, 7, "leans to “synthetic”", xanchor="right")
    _note(figure, 6, 45, "leans to “real”", xanchor="left")


def _note(figure: go.Figure, x: float, y: float, text: str, **place: object) -> None:
    figure.add_annotation(x=x, y=y, text=text, showarrow=False, font={"size": LABEL_PX}, **place)


def _guide(x: npt.ArrayLike, y: npt.ArrayLike, dash: str) -> go.Scatter:
    line = {"color": GUIDE, "width": 1, "dash": dash}
    return go.Scatter(
        x=x, y=y, mode="lines", line=line, showlegend=False, hoverinfo="skip", zorder=-1
    )


def _shortest_names(labels: Sequence[str]) -> dict[str, str]:
    """Each label's shortest run of leading words that no other label shares."""
    short = {}
    for label in labels:
        words = label.split()
        starts = [" ".join(words[:count]) for count in range(1, len(words) + 1)]
        others = [other for other in labels if other != label]
        own = (s for s in starts if not any(f"{o} ".startswith(f"{s} ") for o in others))
        short[label] = next(own, label)
    return short


def _label_positions(
    rows: Sequence[TuringRow], short: dict[str, str]
) -> dict[tuple[str, str], str]:
    """Where each mark's name goes so that names cover neither marks nor each other.

    Greedy, in percent of the plane, which is about 400 pixels wide: of eight places beside the
    mark the least covered one.
    """
    marks = [_point(row) for row in rows]
    taken = [(x - 1.5, y - 1.5, x + 1.5, y + 1.5) for x, y in marks]
    chosen = {}
    for row, (x, y) in zip(rows, marks, strict=True):
        width, height = 1.6 * len(short[row.label]), 3.5
        places = {}
        for vertical, down in (("middle", 0.5), ("top", -0.4), ("bottom", 1.4)):
            for side, left in (("right", -1.5 / width), ("left", 1 + 1.5 / width), ("center", 0.5)):
                if (vertical, side) != ("middle", "center"):
                    x0, y0 = x - left * width, y - down * height
                    places[f"{vertical} {side}"] = (x0, y0, x0 + width, y0 + height)
        best = min(places, key=lambda name: _covered(places[name], taken))
        taken.append(places[best])
        chosen[row.group, row.label] = best
    return chosen


def _covered(box: tuple[float, ...], taken: Sequence[tuple[float, ...]]) -> float:
    """Area of `box` over the taken boxes and beyond the plane's right edge."""
    x0, y0, x1, y1 = box
    area = max(0.0, x1 - 100) * (y1 - y0)
    for a0, b0, a1, b1 in taken:
        area += max(0.0, min(x1, a1) - max(x0, a0)) * max(0.0, min(y1, b1) - max(y0, b0))
    return area


def _told_apart(row: TuringRow) -> bool:
    return row.result.p_chance < ALPHA


def _point(row: TuringRow) -> tuple[float, float]:
    """Percent of synthetic called synthetic and of real called real; NaN where none was shown."""
    rates = (row.result.synthetic_as_synthetic, row.result.real_as_real)
    x, y = (math.nan if rate is None else 100 * rate for rate in rates)
    return x, y


def _hover(row: TuringRow) -> str:
    r = row.result
    low, high = r.interval
    lines = [
        f"<b>{row.group}, {row.label}</b>",
        f"{round(r.accuracy * r.n)} of {r.n} right: {percent(r.accuracy)} "
        f"({percent(low)} to {percent(high)}), p {p_text(r.p_chance)}",
    ]
    if r.real_as_real is not None:
        lines.append(f"{round(r.real_as_real * r.n_real)} of {r.n_real} real called real")
    if r.synthetic_as_synthetic is not None:
        called = round(r.synthetic_as_synthetic * r.n_synthetic)
        lines.append(f"{called} of {r.n_synthetic} synthetic called synthetic")
    if r.d_prime is not None and r.criterion is not None:
        lines.append(f"d' {r.d_prime:.2f}, criterion {r.criterion:+.2f}")
    return "<br>".join(lines)
