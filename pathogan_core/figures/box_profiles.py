"""How bright boxes are from their centre to their border and beyond, and how much is lesion."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from pathogan_core.evaluation.box_profiles import EDGES
from pathogan_core.figures.style import COLORWAY, GUIDE, SYMBOLS, finish, legend_above

Metrics = Mapping[str, Mapping[str, Any]]
"""A record's `metrics`, as `evaluation.box_profiles` makes them."""

MIDDLES = tuple((low + high) / 2 for low, high in pairwise(EDGES))
BORDER = 1.0
X_TITLE = "way from the box's centre (0) to its border (1) and beyond"


def box_profiles(groups: Mapping[str, Metrics]) -> go.Figure:
    """A curve for each group of images: brightness of the rings of their boxes.

    Args:
        groups: metrics by the label of the images; one without ``profile_<i>`` has no curve.
    """
    found = {label: _of_rings("profile", metrics) for label, metrics in groups.items()}
    figure = _curves(found, "%{y:+.1f} % of white")
    figure.add_hline(y=0, line={"color": GUIDE, "width": 1})
    figure.update_yaxes(title="above the surroundings, % of white")
    return finish(figure, alt=_profiles_in_words(groups))


def lesion_shares(groups: Mapping[str, Metrics]) -> go.Figure:
    """A curve for each group of real boxes: how much of each ring is lesion.

    Args:
        groups: metrics by label; one without ``lesion_share_<i>`` has no curve.
    """
    found = {label: _of_rings("lesion_share", metrics) for label, metrics in groups.items()}
    figure = _curves(found, "%{y:.0f}% lesion")
    figure.update_yaxes(title="share that is lesion", ticksuffix="%", rangemode="tozero")
    return finish(figure, alt=_shares_in_words(groups))


def _of_rings(name: str, metrics: Metrics) -> dict[int, Mapping[str, Any]]:
    """The metrics of each ring by its number."""
    names = {ring: f"{name}_{ring}" for ring in range(len(MIDDLES))}
    return {ring: metrics[full] for ring, full in names.items() if full in metrics}


def _curves(found: Mapping[str, Mapping[int, Mapping[str, Any]]], told: str) -> go.Figure:
    figure = go.Figure()
    for number, (label, rings) in enumerate(found.items()):
        if not rings:
            continue
        metrics = [*rings.values()]
        figure.add_trace(
            go.Scatter(
                x=[MIDDLES[ring] for ring in rings],
                y=[metric["value"] for metric in metrics],
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [m["interval"][1] - m["value"] for m in metrics],
                    "arrayminus": [m["value"] - m["interval"][0] for m in metrics],
                    "thickness": 1.5,
                    "width": 0,
                },
                mode="lines+markers",
                name=label,
                marker={"size": 8, "symbol": SYMBOLS[number % len(SYMBOLS)]},
                line={"width": 2, "color": COLORWAY[number % len(COLORWAY)]},
                customdata=[
                    f"{m['interval'][0]:.1f} to {m['interval'][1]:.1f}, {m['n']} boxes"
                    for m in metrics
                ],
                hovertemplate=f"{label}<br>{told}<br>%{{customdata}}<extra></extra>",
            )
        )
    figure.add_vline(x=BORDER, line={"color": GUIDE, "dash": "dot", "width": 1.5})
    figure.update_xaxes(title=X_TITLE, range=[0, EDGES[-1]], zeroline=False)
    figure.update_layout(height=360, legend=legend_above(), showlegend=True)
    return figure


def _profiles_in_words(groups: Mapping[str, Metrics]) -> str:
    told = [
        f"{label} {m['profile_0']['value']:+.1f} at the centre and {m['profile_3']['value']:+.1f} "
        "inside the border"
        for label, m in groups.items()
        if "profile_0" in m
    ]
    return (
        "Mean brightness of boxes above their surroundings, in percent of white, from the centre "
        f"to the border and beyond: {'; '.join(told) or 'none'}."
    )


def _shares_in_words(groups: Mapping[str, Metrics]) -> str:
    told = [
        f"{label} {m['lesion_share_0']['value']:.0f}% at the centre and "
        f"{m['lesion_share_3']['value']:.0f}% inside the border"
        for label, m in groups.items()
        if "lesion_share_0" in m
    ]
    return (
        "How much of rough boxes is lesion, from the centre to the border and beyond: "
        f"{'; '.join(told) or 'none'}."
    )
