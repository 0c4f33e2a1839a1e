"""Detectors at one detection threshold: what they find against what they report in vain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.turing_answers import percent
from pathogan_core.figures.classification import Estimate
from pathogan_core.figures.grouped_rows import group_names, group_offset, lay_out_rows
from pathogan_core.figures.style import COLORWAY, LABEL_PX, SYMBOLS, finish, legend_above

PANEL_PX = 300
BETTER = "rgba(0, 158, 115, 0.18)"  # the colorway's green; a tint on white and on dark
TEXT_PLACES = ("bottom right", "top right", "bottom right", "top left")  # of each group's marks
MARGIN_FPS = 0.12  # of the largest number of false positives, to the right of it
MARGIN_SENSITIVITY = 0.03


class DetectorPoint(Protocol):
    """What the builders draw: an arm (`label`, of a `group`) at one IoU threshold.

    `short` marks the arm where there is no room for its label; `precision` is in [0, 1].
    """

    @property
    def group(self) -> str: ...

    @property
    def label(self) -> str: ...

    @property
    def short(self) -> str: ...

    @property
    def iou(self) -> float: ...

    @property
    def sensitivity(self) -> Estimate: ...

    @property
    def fps_per_slice(self) -> float: ...

    @property
    def precision(self) -> float: ...


def sensitivity_fps(points: Sequence[DetectorPoint], baseline: str) -> go.Figure:
    """Sensitivity with its interval against false positives per slice, a panel for each IoU.

    Shaded is what is better than the baseline on both axes. Arms of a group are joined in the order
    given: where a line turns back, more images were not better.

    Args:
        points: every arm at every IoU threshold; panels in order of appearance of the thresholds.
        baseline: label of the arm whose quadrant is shaded.

    Raises:
        PathoganError: no points, or no arm called `baseline` at one of the thresholds.
    """
    references = _references(points, baseline)
    groups, _ = group_names(points)
    rows = len(references)
    figure = make_subplots(
        rows=rows,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.1,
        subplot_titles=[f"IoU ≥ {iou:g}" for iou in references],
    )
    for row, (iou, reference) in enumerate(references.items(), start=1):
        own = [point for point in points if point.iou == iou]
        low, high = _sensitivity_axis(own)
        figure.update_yaxes(
            title="sensitivity", ticksuffix="%", range=[low, high], zeroline=False, row=row, col=1
        )
        _shade(figure, row, reference, high)
        for number, group in enumerate(groups):
            arms = [point for point in own if point.group == group]
            figure.add_trace(_marks(arms, group, number, legend=row == 1), row=row, col=1)
    most = max(point.fps_per_slice for point in points)
    figure.update_xaxes(range=[0, most * (1 + MARGIN_FPS)], zeroline=False)
    figure.update_xaxes(title="false positives per slice", row=rows, col=1)
    figure.update_layout(height=PANEL_PX * rows + 80, legend=legend_above() | {"y": 1.08})
    return finish(figure, alt=_alt(points, references))


def precision_by_arm(points: Sequence[DetectorPoint], baseline: str) -> go.Figure:
    """Precision of each arm, a row for each and a mark for each IoU threshold.

    Args:
        points: rows in order of appearance of their labels.
        baseline: label of the arm at whose value each threshold has a dashed line.

    Raises:
        PathoganError: as for `sensitivity_fps`.
    """
    references = _references(points, baseline)
    _, labels = group_names(points)
    figure = go.Figure()
    for number, (iou, reference) in enumerate(references.items()):
        own = [point for point in points if point.iou == iou]
        offset = group_offset(number, len(references))
        figure.add_trace(
            go.Scatter(
                name=f"IoU ≥ {iou:g}",
                x=[100 * point.precision for point in own],
                y=[labels.index(point.label) + offset for point in own],
                mode="markers",
                marker=_marker(number, size=11),
                customdata=[_hover(point) for point in own],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
        line = {"color": COLORWAY[number], "width": 1.5, "dash": "dash"}
        figure.add_vline(100 * reference.precision, line=line, opacity=0.7)
    figure.update_xaxes(title="precision", ticksuffix="%", rangemode="tozero", zeroline=False)
    lay_out_rows(figure, labels)
    first = next(iter(references))
    said = ", ".join(f"{p.label} {percent(p.precision)}" for p in points if p.iou == first)
    return finish(figure, alt=f"Precision of {len(labels)} arms at IoU {first:g}: {said}.")


def _references(points: Sequence[DetectorPoint], baseline: str) -> dict[float, DetectorPoint]:
    """The baseline's point at each IoU threshold, in order of appearance."""
    if not points:
        raise PathoganError("there are no arms to draw", remedy="give at least one")
    found = {point.iou: point for point in points if point.label == baseline}
    ious = dict.fromkeys(point.iou for point in points)
    if set(found) != set(ious):
        labels = ", ".join(dict.fromkeys(point.label for point in points))
        raise PathoganError(
            f"no arm is called {baseline!r} at every IoU threshold",
            where="baseline",
            remedy=f"choose from {labels}",
        )
    return {iou: found[iou] for iou in ious}


def _sensitivity_axis(points: Sequence[DetectorPoint]) -> tuple[float, float]:
    ends = [point.sensitivity.interval or (point.sensitivity.value,) * 2 for point in points]
    low = min(end[0] for end in ends) - MARGIN_SENSITIVITY
    high = max(end[1] for end in ends) + MARGIN_SENSITIVITY
    return 100 * low, 100 * high


def _shade(figure: go.Figure, row: int, reference: DetectorPoint, top: float) -> None:
    """What finds more than the baseline and reports less in vain."""
    figure.add_shape(
        type="rect", x0=0, x1=reference.fps_per_slice, y0=100 * reference.sensitivity.value, y1=top,
        fillcolor=BETTER, line_width=0, layer="below", row=row, col=1,
    )  # fmt: skip
    figure.add_annotation(
        x=0, y=top, text="better on<br>both axes", showarrow=False, align="left",
        xanchor="left", yanchor="top", xshift=4, font={"size": LABEL_PX}, row=row, col=1,
    )  # fmt: skip


def _marks(arms: Sequence[DetectorPoint], group: str, number: int, *, legend: bool) -> go.Scatter:
    ends = [arm.sensitivity.interval or (arm.sensitivity.value,) * 2 for arm in arms]
    values = [arm.sensitivity.value for arm in arms]
    return go.Scatter(
        name=group,
        legendgroup=group,
        showlegend=legend,
        x=[arm.fps_per_slice for arm in arms],
        y=[100 * value for value in values],
        error_y={
            "type": "data",
            "array": [100 * (end[1] - value) for end, value in zip(ends, values, strict=True)],
            "arrayminus": [100 * (value - end[0]) for end, value in zip(ends, values, strict=True)],
            "thickness": 1,
            "width": 0,
        },
        mode="lines+markers+text",
        line={"color": COLORWAY[number % len(COLORWAY)], "width": 1.5, "dash": "dot"},
        text=[arm.short for arm in arms],
        textposition=TEXT_PLACES[number % len(TEXT_PLACES)],
        textfont={"size": LABEL_PX},
        marker=_marker(number, size=12),
        customdata=[_hover(arm) for arm in arms],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _marker(number: int, size: int) -> dict:
    return {
        "size": size,
        "symbol": SYMBOLS[number % len(SYMBOLS)],
        "color": COLORWAY[number % len(COLORWAY)],
    }


def _hover(point: DetectorPoint) -> str:
    share = point.sensitivity
    ends = share.interval
    interval = f" ({percent(ends[0])} to {percent(ends[1])})" if ends else ""
    return "<br>".join(
        (
            f"<b>{point.label}</b>, IoU ≥ {point.iou:g}",
            f"sensitivity {percent(share.value)}{interval}, {share.n:,} boxes",
            f"{point.fps_per_slice:.2f} false positives per slice",
            f"precision {percent(point.precision)}",
        )
    )


def _alt(points: Sequence[DetectorPoint], references: dict[float, DetectorPoint]) -> str:
    sentences = []
    for iou, reference in references.items():
        own = [point for point in points if point.iou == iou]
        better = [
            point.label
            for point in own
            if point.sensitivity.value > reference.sensitivity.value
            and point.fps_per_slice < reference.fps_per_slice
        ]
        most = max(own, key=lambda point: point.sensitivity.value)
        sentences.append(
            f"At IoU {iou:g}, {reference.label} finds {percent(reference.sensitivity.value)} with "
            f"{reference.fps_per_slice:.2f} false positives per slice; better on both axes: "
            f"{', '.join(better) or 'none'}; most sensitive: {most.label}, "
            f"{percent(most.sensitivity.value)} with {most.fps_per_slice:.2f}."
        )
    return f"Sensitivity against false positives per slice. {' '.join(sentences)}"
