"""Detector arms: sensitivity against false positives per image, at every score threshold.

Their paired differences are drawn by `figures.comparison.paired_differences`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.detection import THRESHOLD, Froc
from pathogan_core.evaluation.turing_answers import percent
from pathogan_core.figures.style import COLORWAY, SYMBOLS, finish, legend_above

POINTS = 200  # of a curve at most: a page of ten arms and three seeds stays below 1 MB
DASHES = ("solid", "dash", "dot")  # one for each round through the colours


@dataclass(frozen=True, eq=False)
class FrocArm:
    """An arm's curves on one set of images.

    Args:
        label: its name.
        curves: one for each seed.
    """

    label: str
    curves: Sequence[Froc]


@dataclass(frozen=True)
class Marked:
    """Where an arm stands at the score threshold, mean over its seeds."""

    fps_per_image: float
    sensitivity: float


def froc_figure(
    arms: Sequence[FrocArm],
    *,
    threshold: float = THRESHOLD,
    logarithmic: bool = False,
    up_to: float | None = None,
) -> go.Figure:
    """Sensitivity against false positives per image; each arm's mean over seeds, and its seeds.

    A curve is a staircase: at any number of false positives it has the highest sensitivity that
    takes no more of them. The mean is taken at equal false positives and ends with the shortest of
    its seeds' curves. A mark shows an arm's mean sensitivity and mean false positives at one score
    threshold; where seeds differ it need not lie on the mean curve. Curves of more than `POINTS`
    steps are drawn with that many of them.

    Args:
        arms: in the order of the legend.
        threshold: score from which detections count at the mark; by default that of the thesis.
        logarithmic: whether the x axis is; it then begins at the fewest false positives above 0 of
            any curve, and a mark without any lies there.
        up_to: where the x axis ends; by default at the end of the longest curve.

    Raises:
        PathoganError: no arms, an arm without curves, a curve without truth boxes, or nothing to
            draw on a logarithmic axis.
    """
    _check(arms)
    curves = [curve for arm in arms for curve in arm.curves]
    left = _fewest(curves) if logarithmic else 0.0
    marks = [_mark(arm, threshold) for arm in arms]
    figure = go.Figure()
    for number, (arm, mark) in enumerate(zip(arms, marks, strict=True)):
        if len(arm.curves) > 1:
            for seed in range(len(arm.curves)):
                figure.add_trace(_line(arm, number, left, seed))
        figure.add_trace(_line(arm, number, left))
        figure.add_trace(_marker(arm, number, left, mark, threshold))
    longest = max([left, *(end for curve in curves for end in curve.fps_per_image[-1:])])
    right = up_to or longest or 1.0  # no false positives at all: an axis of some length
    title = f"false positives per image (mark: score ≥ {threshold:g})"
    if logarithmic:
        room = 0.03 * max(np.log10(right / left), 1)
        ends = [np.log10(left) - room, np.log10(right) + room]
        figure.update_xaxes(title=title, type="log", range=ends)
    else:
        figure.update_xaxes(title=title, range=[-0.02 * right, 1.02 * right], zeroline=False)
    figure.update_yaxes(title="sensitivity", ticksuffix="%", range=[-2, 102], zeroline=False)
    figure.update_layout(height=480, legend=legend_above())
    return finish(figure, alt=_in_words(arms, marks, threshold))


def _check(arms: Sequence[FrocArm]) -> None:
    if not arms:
        raise PathoganError("there are no arms to draw", remedy="give at least one")
    for arm in arms:
        if not arm.curves:
            remedy = "give the curve of one seed at least"
            raise PathoganError("has no curves", where=f"arm {arm.label}", remedy=remedy)
        if not all(curve.lesions for curve in arm.curves):
            remedy = "draw curves of images with lesions"
            raise PathoganError("has no truth boxes", where=f"arm {arm.label}", remedy=remedy)


def _fewest(curves: Sequence[Froc]) -> float:
    """The fewest false positives per image above 0."""
    above = [fps for curve in curves for fps in curve.fps_per_image[curve.fps_per_image > 0][:1]]
    if not above:
        remedy = "draw them on a linear axis"
        raise PathoganError("no curve has a false positive", where="logarithmic", remedy=remedy)
    return float(min(above))


def _mark(arm: FrocArm, threshold: float) -> Marked:
    points = [_point(curve, threshold) for curve in arm.curves]
    fps, sensitivity = np.mean(points, axis=0)
    return Marked(float(fps), float(sensitivity))


def _point(curve: Froc, threshold: float) -> tuple[float, float]:
    """False positives per image and sensitivity of the detections that reach the threshold."""
    counted = int((curve.scores >= threshold).sum())
    if not counted:
        return 0.0, 0.0
    return float(curve.fps_per_image[counted - 1]), float(curve.sensitivity[counted - 1])


def _staircase(
    curves: Sequence[Froc], left: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Levels of false positives per image, from `left`, and the mean sensitivity at each."""
    end = max(left, min(float(curve.fps_per_image[-1:].sum()) for curve in curves))
    steps = np.unique(np.concatenate([[left, end], *(_steps(curve) for curve in curves)]))
    steps = steps[(steps >= left) & (steps <= end)]
    if len(steps) > POINTS:
        steps = steps[np.linspace(0, len(steps) - 1, POINTS).round().astype(int)]
    found = [[curve.at(level).sensitivity for level in steps] for curve in curves]
    return steps, np.mean(np.array(found, dtype=np.float64), axis=0)


def _steps(curve: Froc) -> NDArray[np.float64]:
    """False positives per image at which the sensitivity rises."""
    return curve.fps_per_image[np.diff(curve.sensitivity, prepend=0.0) > 0]


def _line(arm: FrocArm, number: int, left: float, seed: int | None = None) -> go.Scatter:
    """An arm's mean over seeds, or one seed's curve, which is thin."""
    x, y = _staircase(arm.curves if seed is None else [arm.curves[seed]], left)
    whose = f"run {(seed or 0) + 1} of {len(arm.curves)}"
    if seed is None and len(arm.curves) > 1:
        whose = f"mean of {len(arm.curves)} seeds"
    return go.Scatter(
        name=arm.label,
        x=x,
        y=100 * y,
        mode="lines",
        line={
            "shape": "hv",
            "width": 2.5 if seed is None else 1,
            "color": COLORWAY[number % len(COLORWAY)],
            "dash": DASHES[number // len(COLORWAY) % len(DASHES)],
        },
        opacity=1 if seed is None else 0.4,
        legendgroup=arm.label,
        showlegend=seed is None,
        hovertemplate=f"<b>{arm.label}</b>, {whose}<br>sensitivity %{{y:.1f}}% at %{{x:.3g}} false "
        "positives per image<extra></extra>",
    )


def _marker(arm: FrocArm, number: int, left: float, mark: Marked, threshold: float) -> go.Scatter:
    return go.Scatter(
        x=[max(mark.fps_per_image, left)],
        y=[100 * mark.sensitivity],
        mode="markers",
        marker={
            "size": 11,
            "symbol": SYMBOLS[number % len(SYMBOLS)],
            "color": COLORWAY[number % len(COLORWAY)],
        },
        legendgroup=arm.label,
        showlegend=False,
        hovertemplate=f"<b>{arm.label}</b>, score ≥ {threshold:g}<br>sensitivity "
        f"{percent(mark.sensitivity)} at {mark.fps_per_image:.2f} false positives per image"
        "<extra></extra>",
    )


def _in_words(arms: Sequence[FrocArm], marks: Sequence[Marked], threshold: float) -> str:
    said = [
        f"{arm.label} {percent(mark.sensitivity)} at {mark.fps_per_image:.2f}"
        for arm, mark in zip(arms, marks, strict=True)
    ]
    return (
        "Sensitivity against false positives per image at every score threshold. "
        f"At a score of {threshold:g} or more: {', '.join(said)}."
    )
