"""What every figure shares: palette, type, margins and the words for those who cannot see it."""

from __future__ import annotations

import plotly.graph_objects as go

# Okabe and Ito's colours, in an order whose first four also differ in lightness; each is legible
# on white and on the dark theme's near-black.
COLORWAY = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999")
GRID = "rgba(128, 128, 128, 0.25)"
GUIDE = "rgba(128,128,128,0.65)"  # reads on white and on dark
SYMBOLS = ("circle", "diamond", "square", "triangle-up")
LABEL_PX = 11


def legend_above() -> dict[str, object]:
    """A legend in one line above the plot, on the left."""
    return {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "xanchor": "left"}


def finish(figure: go.Figure, *, alt: str) -> go.Figure:
    """Give `figure` the house style and its alternative text; the last call of every builder.

    Backgrounds are transparent so that the page's light or dark theme shows through.

    Args:
        figure: changed in place and returned.
        alt: one or two sentences saying what the figure shows, for screen readers.

    Raises:
        ValueError: `alt` is empty.
    """
    if not alt.strip():
        raise ValueError("a figure needs alternative text")
    figure.update_layout(
        colorway=COLORWAY,
        font={"family": "system-ui, sans-serif", "size": 13, "color": "#5b6470"},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 60, "r": 20, "t": 40, "b": 50},
        meta={"alt": " ".join(alt.split())},
    )
    figure.update_xaxes(gridcolor=GRID, zerolinecolor=GRID, automargin=True)
    figure.update_yaxes(gridcolor=GRID, zerolinecolor=GRID, automargin=True)
    return figure
