"""Grey images as figures: one grid, or several that are to be compared, one below the other."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from PIL import Image
from plotly.subplots import make_subplots

from pathogan_core.figures.style import finish

ROW_PX = 90
TITLE_PX = 40


def contact_sheet(images: np.ndarray, columns: int) -> bytes:
    """uint8 ``[N, S, S]`` as a PNG of whole rows without gaps; what fills no row is left out."""
    count, size, _ = images.shape
    rows = count // columns
    tiles = images[: rows * columns].reshape(rows, columns, size, size)
    sheet = tiles.transpose(0, 2, 1, 3).reshape(rows * size, columns * size)
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "png", optimize=True)
    return buffer.getvalue()


def image_grid(images: np.ndarray, columns: int, title: str, *, alt: str) -> go.Figure:
    """uint8 ``[N, S, S]`` as a grid of whole rows; what does not fill a row is left out."""
    return image_panels({title: images}, columns, alt=alt)


def image_panels(panels: Mapping[str, np.ndarray], columns: int, *, alt: str) -> go.Figure:
    """Grids below each other, all of one width whatever their images' size.

    Below and not beside: on a phone there is no room beside.

    Args:
        panels: uint8 ``[N, S, S]`` by title; each is shown in whole rows of `columns`.
        columns: images in a row.
        alt: alternative text.
    """
    rows = [len(images) // columns for images in panels.values()]
    height = ROW_PX * sum(rows) + TITLE_PX * len(panels)
    figure = make_subplots(
        rows=len(panels),
        cols=1,
        subplot_titles=[*panels],
        row_heights=rows,
        vertical_spacing=TITLE_PX / height if len(panels) > 1 else 0,
    )
    for row, images in enumerate(panels.values(), start=1):
        coded = base64.b64encode(contact_sheet(images, columns)).decode()
        figure.add_trace(
            go.Image(source=f"data:image/png;base64,{coded}", hoverinfo="skip"), row=row, col=1
        )
    finish(figure, alt=alt)
    figure.layout.meta["still"] = True
    figure.update_layout(height=height + 10, margin={"l": 5, "r": 5, "t": TITLE_PX, "b": 5})
    figure.update_annotations(x=0, xanchor="left", font_size=14)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure


def placed_image(
    png: bytes, left: float, top: float, pixel: float | tuple[float, float]
) -> go.Image:
    """A PNG as a trace whose upper left corner and pixel size (width, height) are in axis units."""
    width, height = pixel if isinstance(pixel, tuple) else (pixel, pixel)
    return go.Image(
        source=f"data:image/png;base64,{base64.b64encode(png).decode()}",
        x0=left + width / 2,  # plotly places the middle of the first pixel
        y0=top + height / 2,
        dx=width,
        dy=height,
        hoverinfo="skip",
    )


def lay_out_tiles(figure: go.Figure, *, rows: float, columns: float) -> None:
    """Axes in tiles from the upper left corner, square at every width, and nothing to zoom."""
    square = {"visible": False, "fixedrange": True, "constrain": "domain"}
    figure.update_xaxes(range=[0, columns], constraintoward="left", **square)
    figure.update_yaxes(range=[rows, 0], constraintoward="top", scaleanchor="x", **square)


def read_sheet(png: bytes, columns: int) -> np.ndarray:
    """The images of a `contact_sheet`, uint8 ``[N, S, S]``."""
    sheet = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
    size = sheet.shape[1] // columns
    tiles = sheet.reshape(-1, size, columns, size)
    return tiles.transpose(0, 2, 1, 3).reshape(-1, size, size)
