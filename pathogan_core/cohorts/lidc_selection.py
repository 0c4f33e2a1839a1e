"""Which scans of LIDC-IDRI section 6 used, as far as the thesis tells (6.2.1).

Slices at most 3 mm thick, pixels of 0.5 to 0.9 mm; then slices were interpolated to 1 mm, and scans
with more than 400 of them dropped. Of 1,018 scans 745 remained. None of the readings of the last
step that suggest themselves, `READINGS`, leaves as many.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pathogan_core.cohorts.lidc_marks import Scan
from pathogan_core.errors import PathoganError


def slices_of_extent(scan: Scan, interpolated_mm: float) -> int:
    """Slices after interpolation, of the height that the scan covers: the literal reading.

    Each slice covers the distance to the next.
    """
    height = float(scan.z_mm[-1] - scan.z_mm[0]) + scan.slice_mm
    return _whole(height / interpolated_mm)


def slices_of_thickness(scan: Scan, interpolated_mm: float) -> int:
    """Slices after interpolation by someone who takes the header's thickness for the distance.

    Where slices overlap, the scan comes out longer than it is.
    """
    return _whole(len(scan.z_mm) * scan.thickness_mm / interpolated_mm)


def slices_as_stored(scan: Scan, interpolated_mm: float) -> int:
    """Slices before any interpolation."""
    return len(scan.z_mm)


def _whole(slices: float) -> int:
    """Slices that fit, in spite of rounding: 400 x 0.6 / 0.6 is 400."""
    return math.floor(slices + 1e-6)


READINGS = {
    "extent": slices_of_extent,
    "thickness": slices_of_thickness,
    "stored": slices_as_stored,
}
"""What "more than 400 slices" may count."""


@dataclass(frozen=True)
class ScanSelection:
    """Limits that a scan has to keep; the defaults are the thesis'.

    `most_slices` is counted by one of `READINGS`; None sets no limit.
    """

    thickest_mm: float = 3.0
    finest_pixel_mm: float = 0.5
    coarsest_pixel_mm: float = 0.9
    interpolated_mm: float = 1.0
    most_slices: int | None = 400
    reading: str = "extent"

    def __post_init__(self) -> None:
        for name in ("thickest_mm", "finest_pixel_mm", "interpolated_mm", "most_slices"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise PathoganError(f"is {value!r}", where=name, remedy="give more than 0")
        if not self.coarsest_pixel_mm >= self.finest_pixel_mm:
            raise PathoganError(
                f"is {self.coarsest_pixel_mm!r}",
                where="coarsest_pixel_mm",
                remedy=f"give at least finest_pixel_mm, {self.finest_pixel_mm!r}",
            )
        if self.reading not in READINGS:
            raise PathoganError(
                f"is {self.reading!r}",
                where="reading",
                remedy=f"choose one of {', '.join(READINGS)}",
            )

    def keeps(self, scan: Scan) -> bool:
        """Whether the scan is within all limits."""
        if scan.thickness_mm > self.thickest_mm:
            return False
        if not self.finest_pixel_mm <= scan.pixel_mm <= self.coarsest_pixel_mm:
            return False
        slices = READINGS[self.reading](scan, self.interpolated_mm)
        return self.most_slices is None or slices <= self.most_slices


def count_by_reading(
    scans: Iterable[Scan], selection: ScanSelection | None = None
) -> dict[str, int]:
    """How many scans are left after each limit, and by each reading of the last.

    Args:
        scans: all there are.
        selection: the thesis' limits if None; its own reading does not matter.

    Returns:
        Counts under `all`, `thickness`, `pixel` (these two limits) and, with all limits, under
        `most_slices_<reading>`.
    """
    everything = list(scans)
    selection = selection or ScanSelection()
    in_plane = replace(selection, most_slices=None)
    thin = replace(in_plane, finest_pixel_mm=1e-9, coarsest_pixel_mm=math.inf)
    stages = {"thickness": thin, "pixel": in_plane} | {
        f"most_slices_{reading}": replace(selection, reading=reading) for reading in READINGS
    }
    return {"all": len(everything)} | {
        name: sum(map(stage.keeps, everything)) for name, stage in stages.items()
    }
