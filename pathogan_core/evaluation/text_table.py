"""Figures as text that people read in a terminal: cells and aligned columns."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lines of a table, the first row ruled off: its first column to the left, others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return [lines[0], "-" * len(lines[0]), *lines[1:]]


def percent(fraction: float | None) -> str:
    """A fraction as a percentage with one decimal; a dash for None."""
    return "-" if fraction is None else f"{100 * fraction:.1f}%"
