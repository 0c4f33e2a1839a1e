"""Grids of grey images as one figure."""

from __future__ import annotations

import base64
import io

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from pathogan_core.figures.style import finish


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
    rows = len(images) // columns
    source = "data:image/png;base64," + base64.b64encode(contact_sheet(images, columns)).decode()
    figure = go.Figure(go.Image(source=source, hoverinfo="skip"))
    finish(figure, alt=alt)
    figure.update_layout(
        title=title, height=90 + 90 * rows, margin={"l": 5, "r": 5, "t": 45, "b": 5}
    )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure
