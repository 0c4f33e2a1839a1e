"""Arms beside their baseline: paired differences, and when they help."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation import classification, detection_comparison
from pathogan_core.evaluation.paired import Difference
from pathogan_core.evaluation.turing import ALPHA
from pathogan_core.evaluation.turing_answers import p_text
from pathogan_core.figures.grouped_rows import group_names, group_offset, lay_out_rows
from pathogan_core.figures.style import GUIDE, SYMBOLS, finish, legend_above

DODGE = 0.018  # of the x axis, between two arms' marks at one x
CLOSEST_TICKS = 0.06  # of the x axis
MEASURES = tuple(dict.fromkeys((*classification.MEASURES, *detection_comparison.MEASURES)))
NAMES = {
    "auc": "AUC",
    "fps_per_image": "FPs per image",
    "matched_sensitivity": "sensitivity at matched FPs",
    "mean_sensitivity": "mean sensitivity",
}
DIGITS = {"auc": 3, "fps_per_image": 2}  # of measures that are no shares


@dataclass(frozen=True)
class ComparedArm:
    """An arm minus its baseline.

    Args:
        label: its row.
        differences: by measure, as `compare` gives them in `evaluation.classification` and
            `evaluation.detection_comparison`.
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
        x: where, e.g. the number of real patients, or the roughness of boxes.
        value: difference to the baseline.
        interval: its 95% interval.
    """

    arm: str
    x: float
    value: float
    interval: tuple[float, float]


def paired_differences(arms: Sequence[ComparedArm], measure: str = "accuracy") -> go.Figure:
    """Each arm minus the baseline with its 95% interval, around the line of no difference.

    A filled mark is a difference that holds after Holm's correction, an open one is not.

    Args:
        arms: rows in order of appearance of their labels.
        measure: of `MEASURES`.

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


def when_it_helps(
    effects: Sequence[Effect], x: str, measure: str = "accuracy", *, counted: bool = True
) -> go.Figure:
    """Each arm's difference to the baseline with its interval, against what was varied.

    Marks of one x stand a little apart, so that their intervals can be seen.

    Args:
        effects: of all arms, in any order.
        x: what was varied, for the axis, e.g. ``real patients``.
        measure: what the differences are of.
        counted: x counts something, is above 0, and its axis is logarithmic. Otherwise it is a
            setting, e.g. ``roughness``, on a linear axis.

    Raises:
        PathoganError: no effects, an unknown measure, or a counted x that is not above 0.
    """
    if not effects:
        raise PathoganError("there are no effects to draw", remedy="give at least one")
    _check_measure(measure)
    if (least := min(effect.x for effect in effects)) <= 0 and counted:
        raise PathoganError(f"x is {least:g}", where=x, remedy="give numbers above 0")
    unit = _unit(measure)
    scale = math.log10 if counted else float
    low, high = _range([scale(effect.x) for effect in effects])
    arms = list(dict.fromkeys(effect.arm for effect in effects))
    figure = go.Figure()
    for number, arm in enumerate(arms):
        own = sorted((effect for effect in effects if effect.arm == arm), key=lambda one: one.x)
        aside = (number - (len(arms) - 1) / 2) * DODGE * (high - low)
        figure.add_trace(
            go.Scatter(
                name=arm,
                x=[effect.x * 10**aside if counted else effect.x + aside for effect in own],
                y=[unit * effect.value for effect in own],
                mode="lines+markers",
                showlegend=True,
                line={"width": 2},
                marker={"size": 9, "symbol": SYMBOLS[number % len(SYMBOLS)]},
                error_y=_bars([(effect.value, effect.interval) for effect in own], unit),
                customdata=[_effect_hover(effect, x, measure, counted) for effect in own],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    figure.add_hline(0, line={"color": GUIDE, "width": 2, "dash": "dash"})
    ticks = _ticks([effect.x for effect in effects], CLOSEST_TICKS * (high - low), scale)
    figure.update_xaxes(
        title=x,
        type="log" if counted else "linear",
        range=[low, high],
        tickvals=ticks,
        ticktext=[_x_text(tick) for tick in ticks],
    )
    figure.update_yaxes(
        title=_measured(measure),
        range=_range_with_zero([unit * end for effect in effects for end in effect.interval]),
        zeroline=False,
    )
    figure.update_layout(height=440, legend=legend_above())
    return finish(figure, alt=_effects_in_words(effects, arms, x, measure))


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
    """Shares are drawn in percentage points, other measures as they are."""
    return 1 if measure in DIGITS else 100


def _measured(measure: str) -> str:
    unit = "" if measure in DIGITS else ", points"
    return f"{NAMES.get(measure, measure)} minus baseline{unit}"


def _amount(value: float, measure: str) -> str:
    """A difference for people, with its sign."""
    shown = f"{_unit(measure) * value:+.{DIGITS.get(measure, 1)}f}"
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


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Holds the values with some room."""
    low, high = min(values), max(values)
    room = 0.08 * (high - low) or 0.2
    return low - room, high + room


def _ticks(values: Sequence[float], closest: float, scale: Callable[[float], float]) -> list[float]:
    """The values themselves, but for those too close above another on the axis' scale."""
    ticks: list[float] = []
    for value in sorted(set(values)):
        if not ticks or scale(value) - scale(ticks[-1]) >= closest:
            ticks.append(value)
    return ticks


def _x_text(x: float) -> str:
    """Whole numbers as they are, ratios to three digits."""
    return f"{x:,.0f}" if x == round(x) else f"{x:.3g}"


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


def _effect_hover(effect: Effect, x: str, measure: str, counted: bool) -> str:
    where = (_x_text(effect.x), x) if counted else (x, _x_text(effect.x))
    return (
        f"<b>{effect.arm}</b>, {' '.join(where)}<br>{_measured(measure)}: "
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
        values = ", ".join(f"{_amount(one.value, measure)} at {_x_text(one.x)}" for one in own)
        said.append(f"{arm} {values}")
    return f"Against {x}, {_measured(measure)}: {'; '.join(said)}."
