"""How losses moved during training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from pathogan_core.figures.style import finish, legend_above


def training_curve(
    log: Sequence[dict[str, Any]], keys: dict[str, str], *, axis: str, title: str, alt: str
) -> go.Figure:
    """Log entries against images seen.

    Args:
        log: lines of a training log.
        keys: log key, e.g. ``D/gap``, to the name a reader sees.
        axis: what the curves measure, averaged over a tick.
        title: what was trained, at which scale, on which data.
        alt: alternative text.
    """
    images = [line["images"] for line in log]
    figure = go.Figure(
        [
            go.Scatter(x=images, y=[line[key] for line in log], name=name, mode="lines")
            for key, name in keys.items()
        ]
    )
    finish(figure, alt=alt)
    figure.update_xaxes(title="real images seen")
    figure.update_yaxes(title=axis)
    figure.update_layout(
        title={"text": title, "font_size": 14, "x": 0, "xanchor": "left", "xref": "paper"},
        height=340,
        margin_t=90 if len(keys) > 1 else 50,
        legend=legend_above(),
    )
    return figure
