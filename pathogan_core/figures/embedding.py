"""A map of images: a mark for each, by category, and the image itself where the reader points."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from pathogan_core.evaluation.images import area_resize, as_tensor, as_uint8
from pathogan_core.figures.images import contact_sheet
from pathogan_core.figures.style import COLORWAY, SYMBOLS, finish

TILE_PX = 48
"""Side of an image in the sheet that a page carries: 1,200 brains take about 0.7 MB."""
COLUMNS = 40
HEIGHT_PX = 500
EDGE = "rgba(128,128,128,0.6)"  # parts marks that overlap, on white and on dark


def image_map(
    points: np.ndarray, categories: Sequence[str] | np.ndarray, images: np.ndarray, *, alt: str
) -> go.Figure:
    """A scatter plot in which pointing at a mark shows its image.

    Plotly's own labels hold text only. The images go, once and reduced, as one sheet into
    `layout.meta.sprite`, from which the book's script `figures.js` shows the tile whose number is
    the mark's `customdata`. Without that script, as in JupyterLab, labels name category and row.

    Args:
        points: ``[N, 2]``; the axes have no unit and are not shown; both have one scale.
        categories: name of each point's category ``[N]``, at most four; a trace each, in the order
            of their first points.
        images: uint8 ``[N, S, S]``, 0 black to 255 white.
        alt: alternative text.

    Raises:
        ValueError: unequal lengths, more categories than there are symbols.
    """
    categories = np.asarray(categories)
    names = list(dict.fromkeys(categories.tolist()))
    if not len(points) == len(categories) == len(images):
        raise ValueError(f"{len(points)} points, {len(categories)} names, {len(images)} images")
    if len(names) > len(SYMBOLS):
        raise ValueError(f"{len(names)} categories, at most {len(SYMBOLS)} can be told apart")
    figure = go.Figure()
    for name, colour, symbol in zip(names, COLORWAY, SYMBOLS, strict=False):
        rows = np.flatnonzero(categories == name)
        figure.add_scatter(
            name=name,
            mode="markers",
            x=points[rows, 0],
            y=points[rows, 1],
            customdata=rows,
            marker={
                "color": colour,
                "symbol": symbol,
                "size": 7,
                "line": {"color": EDGE, "width": 0.5},
            },
            hovertemplate="%{fullData.name}<br>image %{customdata}<extra></extra>",
        )
    finish(figure, alt=alt)
    figure.layout.meta["sprite"] = sprite(images)
    # Above the plot it would lie under plotly's tools, on show while a reader points at marks.
    below = {"orientation": "h", "x": 0, "y": -0.02, "yanchor": "top", "itemsizing": "constant"}
    figure.update_layout(
        height=HEIGHT_PX, legend=below, margin={"l": 10, "r": 10, "b": 10}, hovermode="closest"
    )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, scaleanchor="x")
    return figure


def sprite(images: np.ndarray) -> dict[str, object]:
    """uint8 ``[N, S, S]`` as tiles of one PNG: `source` (data URI), `columns`, `rows`.

    Tile i is in row ``i // columns``; tiles beyond the last image are black. Images larger than
    `TILE_PX` are reduced by area averaging.
    """
    tiles = as_uint8(area_resize(as_tensor(images), min(TILE_PX, images.shape[1])))
    columns = min(COLUMNS, len(tiles))
    missing = -len(tiles) % columns
    tiles = np.concatenate([tiles, np.zeros_like(tiles[:1]).repeat(missing, axis=0)])
    coded = base64.b64encode(contact_sheet(tiles, columns)).decode()
    source = f"data:image/png;base64,{coded}"
    return {"source": source, "columns": columns, "rows": len(tiles) // columns}
