"""How losses moved during training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from pathogan_core.figures.style import finish


def training_curve(log: Sequence[dict[str, Any]], keys: dict[str, str], *, alt: str) -> go.Figure:
    """Log entries against images seen.

    Args:
        log: lines of a training log.
        keys: log key, e.g. ``D/gap``, to the name a reader sees.
        alt: alternative text.
    """
    images = [line["images"] for line in log]
    figure = go.Figure(
        [
            go.Scatter(x=images, y=[line[key] for line in log], name=name, mode="lines+markers")
            for key, name in keys.items()
        ]
    )
    figure.update_layout(height=340, xaxis_title="real images seen", yaxis_title="mean over a tick")
    return finish(figure, alt=alt)
