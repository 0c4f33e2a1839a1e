"""Rows that several groups share: marks of models, of readers, of ways of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import plotly.graph_objects as go

from pathogan_core.figures.style import legend_above

ROW_HEIGHT_PX = 44
GROUP_GAP = 0.26  # of a row, between the groups' marks


class GroupedRow(Protocol):
    """A mark's row (`label`) and whose it is (`group`)."""

    @property
    def group(self) -> str: ...

    @property
    def label(self) -> str: ...


def group_names(rows: Sequence[GroupedRow]) -> tuple[list[str], list[str]]:
    """Groups and labels in order of appearance."""
    groups = dict.fromkeys(row.group for row in rows)
    return list(groups), list(dict.fromkeys(row.label for row in rows))


def group_offset(number: int, groups: int) -> float:
    """How far below the middle of its row group `number` of so many lies, in rows."""
    return (number - (groups - 1) / 2) * GROUP_GAP


def lay_out_rows(figure: go.Figure, labels: Sequence[str]) -> None:
    """One row for each label, the first on top, and the legend above them."""
    figure.update_yaxes(
        tickvals=list(range(len(labels))),
        ticktext=labels,
        range=[len(labels) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
    )
    figure.update_layout(height=140 + ROW_HEIGHT_PX * len(labels), legend=legend_above())
