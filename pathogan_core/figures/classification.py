"""Classifier arms: accuracy with intervals, and sensitivity against specificity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import plotly.graph_objects as go
from scipy import stats

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.turing_answers import percent
from pathogan_core.figures.grouped_rows import group_names, group_offset, lay_out_rows
from pathogan_core.figures.style import COLORWAY, GUIDE, LABEL_PX, SYMBOLS, finish, legend_above

INK = ("#ffffff", "#000000", "#000000", "#000000")  # reads on the first colours of the colorway
MEASURES = ("accuracy", "sensitivity", "specificity")
TICKS_PERCENT = (1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 99, 99.5, 99.9)


class Estimate(Protocol):
    """A share of `n` test images in [0, 1] and its 95% interval, if it has one."""

    @property
    def value(self) -> float: ...

    @property
    def interval(self) -> tuple[float, float] | None: ...

    @property
    def n(self) -> int: ...


class ClassifierArm(Protocol):
    """What the builders draw: a set of training images (`label`) and a way of training (`group`).

    `short` marks the arm where there is no room for its label.
    """

    @property
    def group(self) -> str: ...

    @property
    def label(self) -> str: ...

    @property
    def short(self) -> str: ...

    @property
    def accuracy(self) -> Estimate: ...

    @property
    def sensitivity(self) -> Estimate: ...

    @property
    def specificity(self) -> Estimate: ...


def arm_intervals(
    arms: Sequence[ClassifierArm], measure: str = "accuracy", baseline: str | None = None
) -> go.Figure:
    """One measure of each arm with its 95% interval; groups share a row and stand side by side.

    Overlapping intervals do not mean that two arms are alike: they are no test of a difference.

    Args:
        arms: rows in order of appearance of their labels.
        measure: ``accuracy``, ``sensitivity`` or ``specificity``.
        baseline: label of the arm at whose value each group has a dashed line.

    Raises:
        PathoganError: no arms, an unknown measure, or no arm called `baseline`.
    """
    _check(arms)
    if measure not in MEASURES:
        remedy = f"choose from {', '.join(MEASURES)}"
        raise PathoganError(f"{measure!r} is unknown", where="measure", remedy=remedy)
    groups, labels = group_names(arms)
    if baseline is not None and baseline not in labels:
        remedy = f"choose from {', '.join(labels)}"
        raise PathoganError(f"no arm is called {baseline!r}", where="baseline", remedy=remedy)
    figure = go.Figure()
    for number, group in enumerate(groups):
        own = [arm for arm in arms if arm.group == group]
        shares: list[Estimate] = [getattr(arm, measure) for arm in own]
        offset = group_offset(number, len(groups))
        figure.add_trace(
            go.Scatter(
                name=group,
                x=[100 * share.value for share in shares],
                y=[labels.index(arm.label) + offset for arm in own],
                error_x=_bars(shares),
                mode="markers",
                marker=_marker(number),
                customdata=[_hover(arm) for arm in own],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
        for arm, share in zip(own, shares, strict=True):
            if arm.label == baseline:
                line = {"color": _colour(number), "width": 1.5, "dash": "dash"}
                figure.add_vline(100 * share.value, line=line, opacity=0.7)
    figure.update_xaxes(title=measure, ticksuffix="%", zeroline=False)
    lay_out_rows(figure, labels)
    said = [
        f"{group}: "
        + ", ".join(
            f"{a.label} {percent(getattr(a, measure).value)}" for a in arms if a.group == group
        )
        for group in groups
    ]
    return finish(
        figure,
        alt=f"{measure.capitalize()} with 95% intervals for {len(labels)} sets of training images, "
        f"{'; '.join(said)}.",
    )


def sensitivity_specificity(
    arms: Sequence[ClassifierArm],
    arrow: tuple[ClassifierArm, ClassifierArm] | None = None,
) -> go.Figure:
    """Sensitivity against specificity with 95% intervals, on normal-deviate axes.

    The axes are stretched towards 100%, so that lines of equal d' are straight. Moving a
    classifier's threshold moves it about along such a line: two arms differ in how well they tell
    the classes apart, not in where they cut, as far as they lie on different lines. Thin lines join
    the arms of one label across groups. A share of 0 or 1 is drawn half an image away from it.

    Args:
        arms: of one test set.
        arrow: draw an arrow from the first to the second of these arms.

    Raises:
        PathoganError: no arms, or arms of different test sets.
    """
    _check(arms)
    groups, labels = group_names(arms)
    figure = go.Figure()
    _add_equal_d_prime(figure, arms)
    for label in labels:
        figure.add_trace(_line([arm for arm in arms if arm.label == label]))
    for number, group in enumerate(groups):
        own = [arm for arm in arms if arm.group == group]
        figure.add_trace(
            go.Scatter(
                name=group,
                x=[_stretched(arm.specificity) for arm in own],
                y=[_stretched(arm.sensitivity) for arm in own],
                error_x=_bars([arm.specificity for arm in own], stretched=True),
                error_y=_bars([arm.sensitivity for arm in own], stretched=True),
                mode="markers+text",
                text=_marks(own),
                textfont={"size": LABEL_PX, "color": INK[number % len(INK)]},
                marker=_marker(number, size=20),
                customdata=[_hover(arm) for arm in own],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    if arrow is not None:
        figure.add_annotation(_arrow(*arrow))
    figure.update_layout(height=600, legend=legend_above())
    best = max(arms, key=lambda arm: arm.sensitivity.value)
    return finish(
        figure,
        alt=f"Sensitivity against specificity of {len(arms)} arms, {' and '.join(groups)}. The "
        f"highest sensitivity, {percent(best.sensitivity.value)}, is that of {best.label} "
        f"{best.group}, at a specificity of {percent(best.specificity.value)}.",
    )


def _check(arms: Sequence[ClassifierArm]) -> None:
    if not arms:
        raise PathoganError("there are no arms to draw", remedy="give at least one")
    sizes = {(arm.sensitivity.n, arm.specificity.n) for arm in arms}
    if len(sizes) > 1:
        raise PathoganError(
            f"arms were tested on different sets of images {sorted(sizes)}",
            remedy="draw arms of one test set together",
        )


def _add_equal_d_prime(figure: go.Figure, arms: Sequence[ClassifierArm]) -> None:
    """Axes that hold every interval, and lines of equal d' across them."""
    x = _axis([arm.specificity for arm in arms])
    y = _axis([arm.sensitivity for arm in arms])
    figure.update_xaxes(title="specificity", **x)
    figure.update_yaxes(title="sensitivity", **y)
    (left, right), (bottom, top) = x["range"], y["range"]
    for d_prime in range(math.ceil(left + bottom), math.floor(right + top) + 1):
        start, end = max(left, d_prime - top), min(right, d_prime - bottom)
        line = {"color": GUIDE, "width": 1, "dash": "dot"}
        figure.add_shape(
            type="line", x0=start, y0=d_prime - start, x1=end, y1=d_prime - end,
            line=line, layer="below",
        )  # fmt: skip
        figure.add_annotation(
            x=start, y=d_prime - start, text=f"d' = {d_prime}", showarrow=False,
            font={"size": LABEL_PX}, xanchor="left", yanchor="top", xshift=8, yshift=2,
        )  # fmt: skip


def _axis(shares: Sequence[Estimate]) -> dict:
    low = min(_deviate(_ends(share)[0], share.n) for share in shares) - 0.1
    high = max(_deviate(_ends(share)[1], share.n) for share in shares) + 0.1
    ticks = [tick for tick in TICKS_PERCENT if low <= stats.norm.ppf(tick / 100) <= high]
    return {
        "range": [low, high],
        "tickvals": [float(stats.norm.ppf(tick / 100)) for tick in ticks],
        "ticktext": [f"{tick}%" for tick in ticks],
        "zeroline": False,
    }


def _deviate(share: float, n: int) -> float:
    return float(stats.norm.ppf(min(max(share, 0.5 / n), 1 - 0.5 / n)))


def _ends(share: Estimate) -> tuple[float, float]:
    return share.interval or (share.value, share.value)


def _stretched(share: Estimate) -> float:
    return _deviate(share.value, share.n)


def _line(arms: Sequence[ClassifierArm]) -> go.Scatter:
    return go.Scatter(
        x=[_stretched(arm.specificity) for arm in arms],
        y=[_stretched(arm.sensitivity) for arm in arms],
        mode="lines",
        line={"color": GUIDE, "width": 1},
        showlegend=False,
        hoverinfo="skip",
    )


def _arrow(start: ClassifierArm, end: ClassifierArm) -> go.layout.Annotation:
    return go.layout.Annotation(
        x=_stretched(end.specificity),
        y=_stretched(end.sensitivity),
        ax=_stretched(start.specificity),
        ay=_stretched(start.sensitivity),
        xref="x", yref="y", axref="x", ayref="y",
        showarrow=True, arrowhead=2, arrowwidth=2.5, arrowcolor=COLORWAY[5],
        standoff=12, startstandoff=12, text="",
    )  # fmt: skip


def _bars(shares: Sequence[Estimate], *, stretched: bool = False) -> dict:
    """Plotly's error bars in percent, or on the normal-deviate axes (thin: there are two each)."""
    place = _deviate if stretched else lambda share, _: 100 * share
    centres = [place(share.value, share.n) for share in shares]
    lows = [place(_ends(share)[0], share.n) for share in shares]
    highs = [place(_ends(share)[1], share.n) for share in shares]
    return {
        "type": "data",
        "array": [high - centre for high, centre in zip(highs, centres, strict=True)],
        "arrayminus": [centre - low for low, centre in zip(lows, centres, strict=True)],
        "thickness": 1 if stretched else 2,
        "width": 0 if stretched else 4,
    }


def _marks(arms: Sequence[ClassifierArm]) -> list[str]:
    """Each arm's short name; where arms share a place, all their names on the first."""
    places: dict[tuple[float, float], list[str]] = {}
    for arm in arms:
        places.setdefault((arm.specificity.value, arm.sensitivity.value), []).append(arm.short)
    return [",".join(places.pop((a.specificity.value, a.sensitivity.value), [])) for a in arms]


def _marker(number: int, size: int = 10) -> dict:
    return {"size": size, "symbol": SYMBOLS[number % len(SYMBOLS)], "color": _colour(number)}


def _colour(number: int) -> str:
    return COLORWAY[number % len(COLORWAY)]


def _hover(arm: ClassifierArm) -> str:
    lines = [f"<b>({arm.short}) {arm.label}</b>, {arm.group}"]
    for measure in MEASURES:
        share: Estimate = getattr(arm, measure)
        ends = share.interval
        interval = f" ({percent(ends[0])} to {percent(ends[1])})" if ends else ""
        lines.append(f"{measure} {percent(share.value)}{interval}, n {share.n:,}")
    return "<br>".join(lines)
