"""How a network grew: its images stage by stage under a slider, and the schedule behind them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go

from pathogan_core.errors import PathoganError
from pathogan_core.figures.images import contact_sheet, lay_out_tiles, placed_image
from pathogan_core.figures.style import GUIDE, LABEL_PX, finish, legend_above

TILE_PX = 100
TITLE_PX = 34
SLIDER_PX = 90
PAD_PX = 8
RAIL_INSET_PX = 10  # of plotly's sliders: from their ends to the first and the last step


@dataclass(frozen=True, eq=False)
class Grown:
    """Images of one stage of growth.

    Args:
        resolution: pixels along an edge.
        alpha: weight of the newest level in [0, 1]; 1 where a level stands alone.
        real: uint8 ``[N, resolution, resolution]``, blended by the same alpha.
        generated: uint8, of the same shape.

    Raises:
        PathoganError: shapes that differ or do not fit `resolution`, no images, an alpha beyond.
    """

    resolution: int
    alpha: float
    real: np.ndarray
    generated: np.ndarray

    def __post_init__(self) -> None:
        for kind, images in (("real", self.real), ("generated", self.generated)):
            if images.ndim != 3 or images.shape[1:] != (self.resolution, self.resolution):
                edges = "x".join(map(str, images.shape[1:]))
                raise _bad(f"{kind} images are {edges} px", self.label, "give those of this stage")
        if len(self.real) != len(self.generated) or not len(self.real):
            problem = f"{len(self.real)} real and {len(self.generated)} generated images"
            raise _bad(problem, self.label, "give as many of both, one at least")
        if not 0 <= self.alpha <= 1:
            raise _bad(f"alpha is {self.alpha}", self.label, "give 0 to 1")

    @property
    def label(self) -> str:
        """The stage's name, e.g. ``8 px, alpha 0.5``; of a level that stands alone, ``8 px``."""
        fading = f", alpha {self.alpha:.2g}" if self.alpha < 1 else ""
        return f"{self.resolution} px{fading}"


REAL = "real, as the critic sees them at this stage"


def growth_slider(stages: Sequence[Grown], columns: int = 4, lower_title: str = REAL) -> go.Figure:
    """Generated images above real ones, at the stage that a slider names; it opens at the last.

    Pictures are stored at their own resolution and enlarged pixel by pixel where they are shown.
    Pictures of several stages that are equal, as real ones are while a level stands alone, are
    stored once.

    Args:
        stages: in the order of growth, all with equally many images.
        columns: images in a row; what fills no row is left out.
        lower_title: of the images below, where `Grown.real` is something else.

    Raises:
        PathoganError: no stages, or not equally many images.
    """
    if not stages:
        raise _bad("there are no stages to draw", "stages", "give at least one")
    counts = sorted({len(stage.real) for stage in stages})
    if len(counts) > 1:
        problem = f"stages have {counts[0]} to {counts[-1]} images"
        raise _bad(problem, "stages", "give as many at each stage")
    columns = min(columns, counts[0])
    rows = counts[0] // columns
    lower = rows + TITLE_PX / TILE_PX  # where the real images begin, in tiles
    traces, shown = _pictures(stages, columns, lower)
    figure = go.Figure(traces)
    for trace, visible in zip(figure.data, shown[-1], strict=True):
        trace.visible = visible
    _add_title(figure, 0, _title(stages[-1]))
    _add_title(figure, lower, lower_title)
    for top in (0, lower):
        _separate_tiles(figure, top, rows, columns)
    _name_levels(figure, stages)
    finish(figure, alt=_growth_in_words(stages))
    figure.update_layout(
        height=round(TILE_PX * (lower + rows)) + TITLE_PX + SLIDER_PX,
        margin={"l": PAD_PX, "r": PAD_PX, "t": TITLE_PX, "b": SLIDER_PX},
        sliders=[_slider(stages, shown)],
    )
    lay_out_tiles(figure, rows=lower + rows, columns=columns)
    return figure


def growth_schedule(
    images: Sequence[int],
    resolutions: Sequence[int],
    alphas: Sequence[float],
    batches: Sequence[int],
) -> go.Figure:
    """Resolution, alpha and batch size against the real images that the critic has seen.

    The line climbs from one level to the next as alpha goes from 0 to 1, and is level where a
    level stands alone. Batch sizes are written below the line.

    Args:
        images: rising, from 0 to the end of the run. The points at which phases begin suffice to
            draw the line; more points can be pointed at.
        resolutions, alphas, batches: at each of these; resolutions are powers of two.

    Raises:
        PathoganError: no points, or sequences of unequal lengths, or images that do not rise.
    """
    points = [*zip(images, resolutions, alphas, batches, strict=False)]
    if not points:
        raise _bad("there is no schedule to draw", "images", "give at least one point")
    if {len(resolutions), len(alphas), len(batches)} != {len(images)}:
        counts = [len(one) for one in (images, resolutions, alphas, batches)]
        raise _bad(f"lengths are {counts}", "schedule", "give one value for each point")
    if any(after <= before for before, after in pairwise(images)):
        raise _bad("do not rise", "images", "give each once, in the order of training")
    heights = [math.log2(r) - 1 + alpha for _, r, alpha, _ in points]
    figure = go.Figure()
    for name, fading, dash in (
        ("a level stands alone", False, "solid"),
        ("the next fades in", True, "dot"),
    ):
        figure.add_trace(_segments(name, images, heights, alphas, fading, dash))
    figure.add_trace(
        go.Scatter(
            x=list(images),
            y=heights,
            mode="markers",
            opacity=0,  # to be pointed at
            showlegend=False,
            customdata=[
                f"<b>{r} px</b>, alpha {alpha:.2g}<br>batch {batch}<br>{seen:,} real images seen"
                for seen, r, alpha, batch in points
            ],
            hovertemplate="%{customdata}<extra></extra>",
        )
    )
    for seen, height, batch in _new_batches(points, heights):
        figure.add_annotation(
            x=seen, y=height, text=f"batch {batch}", showarrow=False, font={"size": LABEL_PX},
            xanchor="left", yanchor="top", xshift=4, yshift=-4,
        )  # fmt: skip
    levels = sorted(set(resolutions))
    figure.update_xaxes(
        title="real images seen", range=[-0.02 * images[-1], 1.04 * images[-1] or 1]
    )
    figure.update_yaxes(
        tickvals=[math.log2(level) for level in levels],
        ticktext=[f"{level} px" for level in levels],
        range=[min(heights) - 0.6, math.log2(levels[-1]) + 0.4],
        zeroline=False,
    )
    figure.update_layout(height=360, legend=legend_above())
    return finish(
        figure,
        alt=f"Resolution against real images seen: from {levels[0]} to {levels[-1]} pixels "
        f"in {images[-1]:,} images, each level fading in before it stands alone. Batch sizes: "
        + ", ".join(f"{r} px {batch}" for r, batch in _batch_by_resolution(points).items())
        + ".",
    )


def _pictures(
    stages: Sequence[Grown], columns: int, lower: float
) -> tuple[list[go.Image], list[list[bool]]]:
    """Traces of all pictures that differ, and for each stage which of them it shows."""
    traces: dict[tuple[float, bytes], go.Image] = {}
    shown = []
    for stage in stages:
        own = [
            (0.0, contact_sheet(stage.generated, columns)),
            (lower, contact_sheet(stage.real, columns)),
        ]
        for top, sheet in own:
            traces.setdefault((top, sheet), placed_image(sheet, 0, top, 1 / stage.resolution))
        shown.append(own)
    return [*traces.values()], [[picture in own for picture in traces] for own in shown]


def _slider(stages: Sequence[Grown], shown: Sequence[Sequence[bool]]) -> dict:
    """One step for each stage, with the last one chosen."""
    steps = [
        {
            "name": stage.label,
            "label": "",  # plotly would drop most of so many; levels are named below the rail
            "method": "update",
            "args": [{"visible": list(visible)}, {"annotations[0].text": _title(stage)}],
        }
        for stage, visible in zip(stages, shown, strict=True)
    ]
    return {
        "active": len(stages) - 1,
        "steps": steps,
        "currentvalue": {"visible": False},
        "pad": {"l": 0, "r": 0, "t": PAD_PX, "b": 0},
        "ticklen": 5,
        "tickcolor": GUIDE,
    }


def _title(stage: Grown) -> str:
    return f"<b>{stage.label}</b>: generated"


def _add_title(figure: go.Figure, top: float, text: str) -> None:
    figure.add_annotation(
        x=0, y=top, text=text, showarrow=False, font={"size": 14},
        xanchor="left", yanchor="bottom", xshift=-1,
    )  # fmt: skip


def _separate_tiles(figure: go.Figure, top: float, rows: int, columns: int) -> None:
    """Thin lines: at few pixels nobody sees where an image ends."""
    line = {"color": GUIDE, "width": 1}
    for column in range(1, columns):
        figure.add_shape(type="line", x0=column, x1=column, y0=top, y1=top + rows, line=line)
    for row in range(1, rows):
        figure.add_shape(type="line", x0=0, x1=columns, y0=top + row, y1=top + row, line=line)


def _name_levels(figure: go.Figure, stages: Sequence[Grown]) -> None:
    """Each resolution below the rail, where it first occurs; a single stage has no rail."""
    if len(stages) == 1:
        return
    seen: set[int] = set()
    for number, stage in enumerate(stages):
        if stage.resolution in seen:
            continue
        seen.add(stage.resolution)
        along = number / (len(stages) - 1)
        figure.add_annotation(
            x=along, xref="paper", xshift=RAIL_INSET_PX * (1 - 2 * along),
            y=0, yref="paper", yshift=-PAD_PX - 34, yanchor="top",
            text=f"{stage.resolution} px", showarrow=False, font={"size": LABEL_PX},
            xanchor="center",
        )  # fmt: skip


def _segments(
    name: str,
    images: Sequence[int],
    heights: Sequence[float],
    alphas: Sequence[float],
    fading: bool,
    dash: str,
) -> go.Scatter:
    """The parts of the line in which a level fades in, or stands alone; gaps between them.

    A level that appears at once is a vertical step at the end of the level before.
    """
    x: list[float | None] = []
    y: list[float | None] = []
    for number, (start, end) in enumerate(pairwise(images)):
        if (alphas[number] < 1) == fading:
            before, after = heights[number], heights[number + 1]
            x += [start, end, end, None]
            y += [before, after if fading else before, after, None]
    return go.Scatter(
        name=name, x=x, y=y, mode="lines", line={"width": 3, "dash": dash}, hoverinfo="skip"
    )


def _batch_by_resolution(points: Sequence[tuple[int, int, float, int]]) -> dict[int, int]:
    return {resolution: batch for _, resolution, _, batch in points}


def _new_batches(
    points: Sequence[tuple[int, int, float, int]], heights: Sequence[float]
) -> list[tuple[int, float, int]]:
    """Where each level first stands alone: images seen, height, batch size."""
    found: dict[int, tuple[int, float, int]] = {}
    for (seen, resolution, alpha, batch), height in zip(points, heights, strict=True):
        if alpha == 1:
            found.setdefault(resolution, (seen, height, batch))
    return [*found.values()]


def _growth_in_words(stages: Sequence[Grown]) -> str:
    levels = dict.fromkeys(stage.resolution for stage in stages)
    return (
        f"A slider over {len(stages)} stages of growth, from {stages[0].label} to "
        f"{stages[-1].label}, with resolutions {', '.join(map(str, levels))} pixels: "
        f"{len(stages[0].generated)} generated images above as many real ones, each as coarse as "
        "the networks are at that stage."
    )


def _bad(problem: str, where: str, remedy: str) -> PathoganError:
    return PathoganError(problem, where=where, remedy=remedy)
