"""Images on their way through refiners, and what each refiner changed."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from pathogan_core.errors import PathoganError
from pathogan_core.figures.images import contact_sheet, lay_out_tiles, placed_image
from pathogan_core.figures.style import LABEL_PX, finish

TILE_PX = 110
TITLE_PX = 30
GAP = 0.08  # of a tile, between the images that are followed
COLOURS = (  # of changes: darker is blue, none black, brighter orange
    (220, 242, 255),
    (86, 180, 233),
    (0, 0, 0),
    (230, 159, 0),
    (255, 243, 205),
)


@dataclass(frozen=True, eq=False)
class Followed:
    """One image on its way from noise to refinement.

    Args:
        nearest: the real image most like it, uint8 ``[S, S]``.
        generated: as it was drawn, uint8 ``[S, S]``.
        refined: by the refiner's name, uint8 ``[S, S]``.

    Raises:
        PathoganError: images of several sizes, or not square.
    """

    nearest: np.ndarray
    generated: np.ndarray
    refined: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        size = len(self.generated)
        for image in (self.nearest, self.generated, *self.refined.values()):
            if image.shape != (size, size):
                raise PathoganError(
                    f"an image is {'x'.join(map(str, image.shape))} px, not {size}x{size}",
                    where="followed image",
                    remedy="give square images of one size",
                )


def stages_followed(images: Sequence[Followed], factor: int = 4) -> go.Figure:
    """Images from stage to stage, and below each refined one what the refiner changed.

    Columns are the most similar real image, the generated one and it refined. Changes are refined
    minus generated, `factor` times enlarged: orange where it became brighter, blue where darker.

    Args:
        images: from the top, all through the same refiners.
        factor: at least 1; a change of 255 / factor grey levels and more has the full colour.

    Raises:
        PathoganError: no images, other refiners in one of them, or no refiner; a factor below 1.
    """
    if not images:
        raise PathoganError("there are no images to follow", remedy="give at least one")
    names = list(images[0].refined)
    if not names or any(list(image.refined) != names for image in images):
        problem = "images did not go through the same refiners"
        raise PathoganError(problem, remedy="give each image refined by the same, one at least")
    if factor < 1:
        raise PathoganError(f"is {factor}", where="factor", remedy="give 1 or more")
    columns = 2 + len(names)
    pitch = 2 + GAP
    figure = go.Figure()
    for number, image in enumerate(images):
        size = len(image.generated)
        stages = [image.nearest, image.generated, *image.refined.values()]
        changes = np.concatenate(
            [in_colour(change(image.generated, one), factor) for one in image.refined.values()],
            axis=1,
        )
        top = number * pitch
        figure.add_trace(placed_image(contact_sheet(np.stack(stages), columns), 0, top, 1 / size))
        figure.add_trace(placed_image(_png(changes), 2, top + 1, 1 / size))
    _add_key(figure, factor)
    for column, title in enumerate(("nearest real", "PGGAN", *names)):
        figure.add_annotation(
            x=column + 0.5, y=0, text=title, showarrow=False, yanchor="bottom",
            font={"size": 13},
        )  # fmt: skip
    rows = len(images) * pitch - GAP
    finish(
        figure,
        alt=f"{len(images)} generated images beside the real image most like each, refined by "
        f"{' and by '.join(names)}; below each refined image what changed, {factor} times "
        "enlarged, orange where it became brighter and blue where darker.",
    )
    figure.layout.meta["still"] = True
    figure.update_layout(
        height=round(TILE_PX * rows) + TITLE_PX + 8,
        margin={"l": 5, "r": 5, "t": TITLE_PX, "b": 8},
    )
    lay_out_tiles(figure, rows=rows, columns=columns)
    return figure


def change(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Grey levels by which uint8 images became brighter, int16."""
    return after.astype(np.int16) - before.astype(np.int16)


def in_colour(changes: np.ndarray, factor: int) -> np.ndarray:
    """Changes in grey levels ``[...]`` as uint8 ``[..., 3]``: blue is darker, orange brighter."""
    stops = np.linspace(-255, 255, len(COLOURS)) / factor
    channels = [np.interp(changes, stops, channel) for channel in zip(*COLOURS, strict=True)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png", optimize=True)
    return buffer.getvalue()


def _add_key(figure: go.Figure, factor: int) -> None:
    """What colours mean, in the two tiles below the images that nothing has changed yet."""
    full = 255 / factor
    levels = np.linspace(-full, full, 101)
    figure.add_trace(
        placed_image(_png(in_colour(levels, factor)[None]), 0.25, 1.52, (1.5 / 101, 0.1))
    )
    for x, y, text, anchor in (
        (1, 1.46, f"refined minus PGGAN, ×{factor}", "bottom"),
        (0.25, 1.65, f"−{full:.0f}", "top"),
        (1, 1.65, "0 grey levels", "top"),
        (1.75, 1.65, f"+{full:.0f}", "top"),
    ):
        figure.add_annotation(
            x=x, y=y, text=text, showarrow=False, yanchor=anchor, font={"size": LABEL_PX}
        )
