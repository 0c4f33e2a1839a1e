"""How bright the boxes are that lesions were asked for in, by size and by place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from pathogan_core.figures.grouped_rows import group_offset, lay_out_rows
from pathogan_core.figures.style import COLORWAY, GUIDE, SYMBOLS, finish

Metrics = Mapping[str, Mapping[str, Any]]
"""A record's `metrics`, as `evaluation.placement` makes them."""

ROWS = {
    "contrast": "all boxes",
    "contrast_small": "smallest third",
    "contrast_medium": "middle third",
    "contrast_large": "largest third",
    "contrast_central": "nearest the centre",
    "contrast_between": "between",
    "contrast_peripheral": "farthest from it",
    "contrast_not_asked": "where nothing was asked",
}


def box_contrasts(groups: Mapping[str, Metrics]) -> go.Figure:
    """One row for each third of the boxes, a mark with its interval for each group of images.

    Args:
        groups: metrics by the label of the images, e.g. of a generator or real ones.
    """
    figure = go.Figure()
    labels = [*ROWS.values()]
    for number, (group, metrics) in enumerate(groups.items()):
        told = [(row, metrics[name]) for row, name in enumerate(ROWS) if name in metrics]
        figure.add_trace(
            go.Scatter(
                x=[metric["value"] for _, metric in told],
                y=[row + group_offset(number, len(groups)) for row, _ in told],
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [m["interval"][1] - m["value"] for _, m in told],
                    "arrayminus": [m["value"] - m["interval"][0] for _, m in told],
                    "thickness": 1.5,
                    "width": 0,
                },
                mode="markers",
                name=group,
                marker={
                    "size": 9,
                    "symbol": SYMBOLS[number % len(SYMBOLS)],
                    "color": COLORWAY[number % len(COLORWAY)],
                },
                customdata=[_in_words(group, labels[row], metric) for row, metric in told],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    figure.add_vline(x=0, line={"color": GUIDE, "dash": "dot", "width": 1.5})
    finish(figure, alt=_all_in_words(groups))
    lay_out_rows(figure, labels)
    figure.update_xaxes(title="box minus surroundings, % of white", zeroline=False)
    return figure


def _in_words(group: str, row: str, metric: Mapping[str, Any]) -> str:
    low, high = metric["interval"]
    told = f"{metric['value']:+.1f} ({low:+.1f}, {high:+.1f})"
    return f"{group}<br>{row}: {told}<br>{metric['n']} boxes"


def _all_in_words(groups: Mapping[str, Metrics]) -> str:
    told = [
        f"{group} {metrics['contrast']['value']:+.1f}"
        for group, metrics in groups.items()
        if "contrast" in metrics
    ]
    return (
        "Mean brightness of requested boxes minus that of their surroundings, in percent of white, "
        f"by size and place of the box. Over all boxes: {'; '.join(told) or 'none'}."
    )
