"""What was measured, as rows of one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One measurement.

    Args:
        measured: what was done, e.g. ``wgan 128 px bf16``.
        on: device and threads, or worker processes.
        unit: what is counted: ``step`` (one round of a method's phases), ``image``, ``scan`` or
            ``command``.
        units: how many were timed.
        wall_s, cpu_s: seconds for all of them; see `usage.Reading`.
        peak_memory_bytes: see `usage.peak_memory`.
        images: real images that the steps consumed; None where none are trained on.
        peak_device_bytes: most that tensors held on the CUDA device; None elsewhere.
    """

    measured: str
    on: str
    unit: str
    units: int
    wall_s: float
    cpu_s: float
    peak_memory_bytes: int
    images: int | None = None
    peak_device_bytes: int | None = None

    @property
    def units_per_s(self) -> float:
        """On the wall clock."""
        return self.units / self.wall_s

    @property
    def cpu_s_per_unit(self) -> float:
        """Processor seconds of all threads and workers together."""
        return self.cpu_s / self.units

    @property
    def images_per_s(self) -> float | None:
        """Real images on the wall clock."""
        return None if self.images is None else self.images / self.wall_s

    def as_json(self) -> dict[str, Any]:
        """The measurement and the rates that follow from it."""
        rates = ("units_per_s", "cpu_s_per_unit", "images_per_s")
        return {**asdict(self), **{name: getattr(self, name) for name in rates}}


_COLUMNS: dict[str, Callable[[Row], str | float | None]] = {
    "measured": lambda row: row.measured,
    "on": lambda row: row.on,
    "unit": lambda row: row.unit,
    "units/s": lambda row: row.units_per_s,
    "s/unit": lambda row: row.wall_s / row.units,
    "CPU s/unit": lambda row: row.cpu_s_per_unit,
    "images/s": lambda row: row.images_per_s,
    "memory MB": lambda row: row.peak_memory_bytes / 1e6,
    "GPU MB": lambda row: None if row.peak_device_bytes is None else row.peak_device_bytes / 1e6,
}
_TEXTS = 3  # the first columns are words, set left; numbers are set right


def table(rows: Sequence[Row], *, markdown: bool = False) -> str:
    """The rows as aligned columns, or as a Markdown table."""
    grid = [list(_COLUMNS), *([_shown(value(row)) for value in _COLUMNS.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    lines = [_aligned(cells, widths, " | " if markdown else "  ") for cells in grid]
    if markdown:
        marks = ["-" * w if i < _TEXTS else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
        lines = [f"| {line} |" for line in (lines[0], " | ".join(marks), *lines[1:])]
    return "\n".join(lines)


def _shown(value: str | float | None) -> str:
    """Three digits of a number, and all those before its decimal point."""
    if value is None or isinstance(value, str):
        return value or "-"
    return f"{value:,.0f}" if value >= 99.95 else f"{value:#.3g}"


def _aligned(cells: Sequence[str], widths: Sequence[int], gap: str) -> str:
    pairs = enumerate(zip(cells, widths, strict=True))
    return gap.join(c.ljust(w) if i < _TEXTS else c.rjust(w) for i, (c, w) in pairs)
