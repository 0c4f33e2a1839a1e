"""Arms beside their baseline: paired differences, when they help, and images stage by stage."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.classification import MEASURES, Difference
from pathogan_core.evaluation.turing import ALPHA
from pathogan_core.evaluation.turing_answers import p_text
from pathogan_core.figures.grouped_rows import group_names, group_offset, lay_out_rows
from pathogan_core.figures.growth import lay_out_tiles, placed_image
from pathogan_core.figures.images import contact_sheet
from pathogan_core.figures.style import GUIDE, LABEL_PX, SYMBOLS, finish, legend_above

TILE_PX = 110
TITLE_PX = 30
GAP = 0.08  # of a tile, between the images that are followed
DODGE = 0.018  # of the x axis, between two arms' marks at one x
CLOSEST_TICKS = 0.06  # of the x axis
COLOURS = (  # of changes: darker is blue, none black, brighter orange
    (220, 242, 255),
    (86, 180, 233),
    (0, 0, 0),
    (230, 159, 0),
    (255, 243, 205),
)


@dataclass(frozen=True)
class ComparedArm:
    """An arm minus its baseline.

    Args:
        label: its row.
        differences: by measure, as `evaluation.classification.compare` gives them.
        group: what shares the row, e.g. a way of training; empty if there is one only.
    """

    label: str
    differences: Mapping[str, Difference]
    group: str = ""


@dataclass(frozen=True)
class Effect:
    """What an arm gains over the baseline at one place of an experiment.

    Args:
        arm: its name.
        x: number of real patients, or synthetic images per real one; above 0.
        value: difference to the baseline.
        interval: its 95% interval.
    """

    arm: str
    x: float
    value: float
    interval: tuple[float, float]


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


def paired_differences(arms: Sequence[ComparedArm], measure: str = "accuracy") -> go.Figure:
    """Each arm minus the baseline with its 95% interval, around the line of no difference.

    A filled mark is a difference that holds after Holm's correction, an open one is not.

    Args:
        arms: rows in order of appearance of their labels.
        measure: of `evaluation.classification.MEASURES`.

    Raises:
        PathoganError: no arms, or an unknown measure.
    """
    _check_drawable(arms, measure)
    groups, labels = group_names(arms)
    unit = _unit(measure)
    figure = go.Figure()
    for number, group in enumerate(groups):
        own = [arm for arm in arms if arm.group == group]
        found = [arm.differences[measure] for arm in own]
        symbol, offset = SYMBOLS[number % len(SYMBOLS)], group_offset(number, len(groups))
        figure.add_trace(
            go.Scatter(
                name=group,
                x=[unit * one.value for one in found],
                y=[labels.index(arm.label) + offset for arm in own],
                mode="markers",
                marker={
                    "size": 11,
                    "symbol": [symbol if _holds(one) else f"{symbol}-open" for one in found],
                    "line": {"width": [0 if _holds(one) else 2 for one in found]},
                },
                error_x=_bars([(one.value, one.interval) for one in found], unit),
                customdata=[_hover(arm, measure) for arm in own],
                hovertemplate="%{customdata}<extra></extra>",
                showlegend=len(groups) > 1,
            )
        )
    figure.add_vline(0, line={"color": GUIDE, "width": 2, "dash": "dash"})
    ends = [end for arm in arms for end in arm.differences[measure].interval]
    figure.update_xaxes(
        title={
            "text": f"{_measured(measure)}<br>(open mark: adjusted p ≥ {ALPHA})",
            "font_size": 13,  # row labels leave it half a phone's width
        },
        range=_range_with_zero([unit * end for end in ends]),
        zeroline=False,
    )
    lay_out_rows(figure, labels)
    return finish(figure, alt=_differences_in_words(arms, measure))


def when_it_helps(effects: Sequence[Effect], x: str, measure: str = "accuracy") -> go.Figure:
    """Each arm's difference to the baseline with its interval, against what was varied.

    Marks of one x stand a little apart, so that their intervals can be seen.

    Args:
        effects: of all arms, in any order.
        x: what was varied, for the axis, e.g. ``real patients``; the axis is logarithmic.
        measure: what the differences are of.

    Raises:
        PathoganError: no effects, an unknown measure, or an x that is not above 0.
    """
    if not effects:
        raise PathoganError("there are no effects to draw", remedy="give at least one")
    _check_measure(measure)
    if (least := min(effect.x for effect in effects)) <= 0:
        raise PathoganError(f"x is {least:g}", where=x, remedy="give numbers above 0")
    unit = _unit(measure)
    low, high = _log_range([effect.x for effect in effects])
    arms = list(dict.fromkeys(effect.arm for effect in effects))
    figure = go.Figure()
    for number, arm in enumerate(arms):
        own = sorted((effect for effect in effects if effect.arm == arm), key=lambda one: one.x)
        aside = 10 ** ((number - (len(arms) - 1) / 2) * DODGE * (high - low))
        figure.add_trace(
            go.Scatter(
                name=arm,
                x=[effect.x * aside for effect in own],
                y=[unit * effect.value for effect in own],
                mode="lines+markers",
                showlegend=True,
                line={"width": 2},
                marker={"size": 9, "symbol": SYMBOLS[number % len(SYMBOLS)]},
                error_y=_bars([(effect.value, effect.interval) for effect in own], unit),
                customdata=[_effect_hover(effect, x, measure) for effect in own],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    figure.add_hline(0, line={"color": GUIDE, "width": 2, "dash": "dash"})
    ticks = _ticks([effect.x for effect in effects], CLOSEST_TICKS * (high - low))
    figure.update_xaxes(
        title=x,
        type="log",
        range=[low, high],
        tickvals=ticks,
        ticktext=[f"{tick:,g}" for tick in ticks],
    )
    figure.update_yaxes(
        title=_measured(measure),
        range=_range_with_zero([unit * end for effect in effects for end in effect.interval]),
        zeroline=False,
    )
    figure.update_layout(height=440, legend=legend_above())
    return finish(figure, alt=_effects_in_words(effects, arms, x, measure))


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


def _check_drawable(arms: Sequence[ComparedArm], measure: str) -> None:
    if not arms:
        raise PathoganError("there are no arms to draw", remedy="give at least one")
    _check_measure(measure)
    for arm in arms:
        if measure not in arm.differences:
            remedy = "compare the arms in this measure"
            raise PathoganError(f"has no {measure}", where=f"arm {arm.label}", remedy=remedy)


def _check_measure(measure: str) -> None:
    if measure not in MEASURES:
        remedy = f"choose from {', '.join(MEASURES)}"
        raise PathoganError(f"{measure!r} is unknown", where="measure", remedy=remedy)


def _unit(measure: str) -> int:
    """Shares are drawn in percentage points, areas under a curve as they are."""
    return 1 if measure == "auc" else 100


def _measured(measure: str) -> str:
    name, unit = ("AUC", "") if measure == "auc" else (measure, ", points")
    return f"{name} minus baseline{unit}"


def _amount(value: float, measure: str) -> str:
    """A difference for people, with its sign."""
    shown = f"{_unit(measure) * value:+.{3 if measure == 'auc' else 1}f}"
    return shown.replace("-", "−")


def _holds(difference: Difference) -> bool:
    return difference.p_adjusted < ALPHA


def _bars(found: Sequence[tuple[float, tuple[float, float]]], unit: int) -> dict:
    """Plotly's error bars of values with intervals."""
    return {
        "type": "data",
        "array": [unit * (high - value) for value, (_, high) in found],
        "arrayminus": [unit * (value - low) for value, (low, _) in found],
        "thickness": 2,
        "width": 4,
    }


def _range_with_zero(values: Sequence[float]) -> list[float]:
    low, high = min(0.0, *values), max(0.0, *values)
    room = 0.06 * (high - low) or 1.0
    return [low - room, high + room]


def _log_range(values: Sequence[float]) -> tuple[float, float]:
    """Powers of ten that hold the values with some room."""
    low, high = math.log10(min(values)), math.log10(max(values))
    room = 0.08 * (high - low) or 0.2
    return low - room, high + room


def _ticks(values: Sequence[float], closest: float) -> list[float]:
    """The values themselves, but for those too close above another; distances are in log10."""
    ticks: list[float] = []
    for value in sorted(set(values)):
        if not ticks or math.log10(value / ticks[-1]) >= closest:
            ticks.append(value)
    return ticks


def _with_interval(value: float, interval: tuple[float, float], measure: str) -> str:
    low, high = (_amount(end, measure) for end in interval)
    return f"{_amount(value, measure)} ({low} to {high})"


def _hover(arm: ComparedArm, measure: str) -> str:
    one = arm.differences[measure]
    seeds = "1 seed" if one.seeds == 1 else f"{one.seeds} seeds"
    return "<br>".join(
        (
            f"<b>{arm.label}</b>" + (f", {arm.group}" if arm.group else ""),
            f"{_measured(measure)}: {_with_interval(one.value, one.interval, measure)}",
            f"p {p_text(one.p_value)}, after Holm {p_text(one.p_adjusted)}",
            f"{seeds}, {one.patients} patients",
        )
    )


def _effect_hover(effect: Effect, x: str, measure: str) -> str:
    return (
        f"<b>{effect.arm}</b>, {effect.x:,g} {x}<br>{_measured(measure)}: "
        f"{_with_interval(effect.value, effect.interval, measure)}"
    )


def _differences_in_words(arms: Sequence[ComparedArm], measure: str) -> str:
    said = []
    for group in group_names(arms)[0]:
        found = {arm.label: arm.differences[measure] for arm in arms if arm.group == group}
        values = [
            f"{label} {_with_interval(one.value, one.interval, measure)}"
            for label, one in found.items()
        ]
        said.append(f"{group}: {', '.join(values)}" if group else ", ".join(values))
    held = sum(_holds(arm.differences[measure]) for arm in arms)
    return (
        f"Differences to the baseline with 95% intervals, {_measured(measure)}. "
        f"{'. '.join(said)}. "
        f"{held} of {len(arms)} differ from 0 after Holm's correction."
    )


def _effects_in_words(effects: Sequence[Effect], arms: Sequence[str], x: str, measure: str) -> str:
    said = []
    for arm in arms:
        own = sorted((effect for effect in effects if effect.arm == arm), key=lambda one: one.x)
        values = ", ".join(f"{_amount(one.value, measure)} at {one.x:,g}" for one in own)
        said.append(f"{arm} {values}")
    return f"Against {x}, {_measured(measure)}: {'; '.join(said)}."
