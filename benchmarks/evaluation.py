"""The cost of judging a detector: the whole command, from CSV files to figures in a JSON file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.rows import Row
from benchmarks.usage import Reading, now, peak_memory

SEED = 0
NODULES_PER_SCAN, EXCLUDED_PER_SCAN = 1186 / 888, 40
"""As many nodules as LUNA16 has, and about as many excluded findings."""
SIDE_MM = 300.0
FILES = ("annotations", "excluded", "detections", "series")


@dataclass(frozen=True)
class FrocCase:
    """`pathogan evaluate froc` on random marks, the start of Python included.

    Args:
        scans: how many there are.
        marks: in each of them.
        folder: where the files lie.
    """

    scans: int
    marks: int
    folder: Path

    @property
    def name(self) -> str:
        """E.g. ``froc 888 scans, 50 marks each``."""
        return f"froc {self.scans} scans, {self.marks} marks each"

    def provide(self) -> None:
        """Write the four files; not to be timed. One mark in each scan with a nodule is on it."""
        rng = np.random.default_rng(SEED)
        nodules = _positions(round(self.scans * NODULES_PER_SCAN), self.scans, rng)
        excluded = _positions(self.scans * EXCLUDED_PER_SCAN, self.scans, rng)
        scans = np.repeat(np.arange(self.scans), self.marks)
        marks = np.column_stack([scans, rng.uniform(0, SIDE_MM, (len(scans), 3))])
        marks[nodules[:, 0].astype(int) * self.marks] = nodules
        self._write("series", [self._series(number) for number in range(self.scans)])
        self._write_rows("annotations", nodules, "diameter_mm", rng.uniform(3, 30, len(nodules)))
        self._write_rows("excluded", excluded, "diameter_mm", np.full(len(excluded), -1.0))
        self._write_rows("detections", marks, "probability", rng.random(len(marks)))

    def measure(self, read: Callable[[], Reading] = now) -> Row:
        """Run the command once."""
        command = [sys.executable, "-c", "from pathogan_core.cli import main; main()"]
        options = [word for name in FILES for word in (f"--{name}", str(self._path(name)))]
        options += ["--json", str(self.folder / "froc.json")]
        begun = read()
        subprocess.run(
            [*command, "evaluate", "froc", *options], check=True, stdout=subprocess.DEVNULL
        )
        spent = read() - begun
        return Row(
            measured=self.name,
            on="1 process",
            unit="command",
            units=1,
            wall_s=spent.wall_s,
            cpu_s=spent.cpu_s,
            peak_memory_bytes=peak_memory(),
        )

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.csv"

    def _series(self, number: int) -> str:
        return f"1.2.826.0.1.{number:032d}"  # as long as the identifiers of real series

    def _write_rows(self, name: str, places: NDArray, column: str, values: NDArray) -> None:
        def lines() -> Iterator[str]:
            yield f"seriesuid,coordX,coordY,coordZ,{column}"
            for (scan, x, y, z), value in zip(places.tolist(), values.tolist(), strict=True):
                yield f"{self._series(int(scan))},{x},{y},{z},{value}"

        self._write(name, lines())

    def _write(self, name: str, lines: list[str] | Iterator[str]) -> None:
        self._path(name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _positions(count: int, scans: int, rng: np.random.Generator) -> NDArray:
    """Scan, x, y, z of each ``[count, 4]``."""
    return np.column_stack([rng.integers(scans, size=count), rng.uniform(0, SIDE_MM, (count, 3))])
