"""Distribution measures beside what real images would score, and the sequences a model covers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from pathogan_core.evaluation.catalogue import SEQUENCE_LABELS, describe
from pathogan_core.figures.style import COLORWAY, finish

Metrics = Mapping[str, Mapping[str, Any]]
"""A record's `metrics`."""

MEASURES = ("kid", "swd_mean", "msssim_gap", "precision", "recall")
DIRECTIONS = {"lower": "← better", "higher": "better →", "near its reference": "best at 0"}
BAND = "rgba(128,128,128,0.35)"
WHISKER = "rgba(128,128,128,0.9)"
ROW_PX = 30
PANEL_PX = 60  # title, ticks and the gap to the next panel


def measures_beside_floors(
    runs: Mapping[str, Metrics], measures: Sequence[str] = MEASURES
) -> go.Figure:
    """One panel a measure: each run's value with its interval, and the band of real images.

    A grey bar spans what real images of disjoint patients score at the same n (`<measure>_floor`).

    Args:
        runs: metrics by the label of the run, in the order they are drawn from the top; a run
            that was not measured has an empty row.
        measures: names of metrics that have a floor.
    """
    descriptions = [describe(measure) for measure in measures]
    panel_px = PANEL_PX + ROW_PX * len(runs)
    figure = make_subplots(
        rows=len(measures),
        cols=1,
        subplot_titles=[f"{d.label} ({DIRECTIONS[d.better]})" for d in descriptions],
        vertical_spacing=PANEL_PX / (panel_px * len(measures)),
    )
    for row, measure in enumerate(measures, start=1):
        measured = {label: metrics for label, metrics in runs.items() if measure in metrics}
        figure.add_trace(_bands(measured, f"{measure}_floor"), row=row, col=1)
        figure.add_trace(_marks(measured, measure), row=row, col=1)
    figure.update_yaxes(
        categoryorder="array", categoryarray=[*runs][::-1], range=[-0.6, len(runs) - 0.4]
    )
    figure.update_layout(height=60 + panel_px * len(measures), showlegend=False)
    figure.update_annotations(font_size=13)
    return finish(figure, alt=_measures_in_words(runs, measures))


def _bands(runs: Mapping[str, Metrics], floor: str) -> go.Bar:
    spans = [metrics[floor]["interval"] for metrics in runs.values()]
    return go.Bar(
        orientation="h",
        y=[*runs],
        base=[low for low, _ in spans],
        x=[high - low for low, high in spans],
        width=0.55,
        marker={"color": BAND, "line": {"color": BAND, "width": 2}},
        customdata=[f"{label}, real images: {m[floor]['value']:.3g}" for label, m in runs.items()],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _marks(runs: Mapping[str, Metrics], measure: str) -> go.Scatter:
    found = [metrics[measure] for metrics in runs.values()]
    ends = [one["interval"] or (one["value"], one["value"]) for one in found]
    return go.Scatter(
        mode="markers",
        y=[*runs],
        x=[one["value"] for one in found],
        marker={"size": 10, "color": [_colour(label) for label in runs]},
        error_x={
            "type": "data",
            "array": [high - one["value"] for (_, high), one in zip(ends, found, strict=True)],
            "arrayminus": [one["value"] - low for (low, _), one in zip(ends, found, strict=True)],
            "color": WHISKER,
            "thickness": 2,
            "width": 4,
        },
        customdata=[
            f"{label}: {one['value']:.3g}, n {one['n']}"
            for label, one in zip(runs, found, strict=True)
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _colour(label: str) -> str:
    return COLORWAY[0] if label.startswith("DCGAN") else COLORWAY[1]


def _measures_in_words(runs: Mapping[str, Metrics], measures: Sequence[str]) -> str:
    said = []
    for measure in measures:
        values = [
            f"{label} {metrics[measure]['value']:.3g} "
            f"(real images {metrics[f'{measure}_floor']['value']:.3g})"
            for label, metrics in runs.items()
            if measure in metrics
        ]
        said.append(f"{describe(measure).label}: {', '.join(values) or 'not measured'}.")
    return f"Distribution measures of {len(runs)} runs beside real images. {' '.join(said)}"


def sequence_shares(runs: Mapping[str, Metrics]) -> go.Figure:
    """Of a pooled set: the share of images that the classifier takes for each sequence.

    The first bar is its answers on held-out real images, where every share should be a quarter.

    Args:
        runs: metrics with `sequence_*`, by the label of the run; at least one.
    """
    bars = {"real, held out": _shares(next(iter(runs.values())), "real")}
    bars |= {label: _shares(metrics, "fake") for label, metrics in runs.items()}
    figure = go.Figure()
    for number, name in enumerate(SEQUENCE_LABELS.values()):
        values = [shares[number] for shares in bars.values()]
        figure.add_bar(
            name=name,
            orientation="h",
            y=[*bars],
            x=values,
            text=[f"{value:.0f}%" for value in values],
            textposition="inside",
            insidetextanchor="middle",
            hovertemplate=f"%{{y}}: {name} %{{x:.1f}}%<extra></extra>",
        )
    figure.update_layout(
        barmode="stack",
        height=150 + 44 * len(bars),
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "traceorder": "normal"},
    )
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title="share of the images", ticksuffix="%", range=[0, 100])
    return finish(figure, alt=_shares_in_words(bars))


def _shares(metrics: Metrics, side: str) -> list[float]:
    return [100 * metrics[f"sequence_{name}_{side}"]["value"] for name in SEQUENCE_LABELS]


def _shares_in_words(bars: Mapping[str, Sequence[float]]) -> str:
    said = []
    for label, shares in bars.items():
        each = zip(SEQUENCE_LABELS.values(), shares, strict=True)
        said.append(f"{label}: {', '.join(f'{name} {share:.0f}%' for name, share in each)}")
    return f"Sequences that a classifier sees in the images. {'; '.join(said)}."
