"""Grey images with boxes drawn on them, in tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from pathogan_core.figures.images import contact_sheet, lay_out_tiles, placed_image
from pathogan_core.figures.style import finish

TILE_PX = 150
LEGEND_PX = 40
BOX_COLOURS = ("#FFB000", "#56B4E9", "#FF6E6E", "#5FD6A8")
"""Lighter than the page's palette: they lie on black and grey."""
GAP = (None,)
"""Ends a line, so that all boxes of a kind are one trace."""


def boxed_images(
    images: np.ndarray,
    boxes: Mapping[str, Sequence[np.ndarray]],
    columns: int,
    *,
    alt: str,
) -> go.Figure:
    """uint8 ``[N, S, S]`` in whole rows of `columns`, with the boxes of each kind in one colour.

    Args:
        boxes: by kind, as the legend has it, ``[n, 4]`` in pixels for each image.
        alt: alternative text.
    """
    size, rows = images.shape[-1], len(images) // columns
    figure = go.Figure(placed_image(contact_sheet(images, columns), 0, 0, 1 / size))
    for (kind, of_images), colour in zip(boxes.items(), BOX_COLOURS, strict=False):
        x, y = _outlines(of_images[: rows * columns], size, columns)
        figure.add_trace(
            go.Scatter(
                x=x, y=y, mode="lines", name=kind, hoverinfo="skip",
                line={"color": colour, "width": 1.6},
            )
        )  # fmt: skip
    finish(figure, alt=alt)
    figure.layout.meta["still"] = True
    legend = {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "xanchor": "left"}
    figure.update_layout(
        height=TILE_PX * rows + LEGEND_PX + 10,
        margin={"l": 5, "r": 5, "t": LEGEND_PX, "b": 5},
        legend=legend,
        showlegend=True,
    )
    lay_out_tiles(figure, rows=rows, columns=columns)
    return figure


def _outlines(
    boxes: Sequence[np.ndarray], size: int, columns: int
) -> tuple[list[float | None], list[float | None]]:
    """Closed lines around the boxes of each tile, in tiles from the upper left corner."""
    x: list[float | None] = []
    y: list[float | None] = []
    for number, some in enumerate(boxes):
        row, column = divmod(number, columns)
        for left, top, right, bottom in np.reshape(some, (-1, 4)) / size:
            x += [column + at for at in (left, right, right, left, left)] + [*GAP]
            y += [row + at for at in (top, top, bottom, bottom, top)] + [*GAP]
    return x, y
