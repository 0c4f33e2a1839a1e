"""The choices behind prepared slices, each by name."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pathogan_core.errors import PathoganError

REVISION = 1  # raise when the same parameters would give other images: it enters the fingerprint


@dataclass(frozen=True)
class PreparationParameters:
    """Thesis section 3.2.2 as parameters; `data_manifests/brats2016.yaml` holds the same values.

    Attributes:
        grades: which cases are used; the thesis takes high-grade gliomas only.
        first_slice, last_slice: sagittal slices, both included, 0-based along x of the LPS volume
            (growing to the patient's left). The thesis says #80 to #149 of 240 without naming an
            origin; in BRATS files index 0 is the patient's right.
        sizes: image sizes in pixels.
        white_percentile: of the brain's intensities, mapped to 255; no signal is 0 (the thesis is
            silent).
        split: fractions of the patients for train, validation and test.
        split_seed: another seed is another draw.
        volume_shape: z, y, x that every volume must have, so that a slice number means one place.
    """

    grades: tuple[str, ...] = ("HGG",)
    first_slice: int = 80
    last_slice: int = 149
    sizes: tuple[int, ...] = (128, 64)
    white_percentile: float = 99.5
    split: tuple[float, float, float] = (0.7, 0.1, 0.2)
    split_seed: int = 0
    volume_shape: tuple[int, int, int] = (155, 240, 240)

    def __post_init__(self) -> None:
        for name, wrong, remedy in self._mistakes():
            if wrong:
                raise PathoganError(
                    f"is {getattr(self, name)!r}", where=f"parameter {name}", remedy=remedy
                )

    def _mistakes(self) -> list[tuple[str, bool, str]]:
        width = self.volume_shape[2]
        return [
            ("grades", not self.grades, "name at least one grade"),
            ("first_slice", not 0 <= self.first_slice < width, f"choose 0 to {width - 1}"),
            (
                "last_slice",
                not self.first_slice <= self.last_slice < width,
                f"choose {self.first_slice} to {width - 1}",
            ),
            (
                "sizes",
                not self.sizes
                or len(set(self.sizes)) != len(self.sizes)
                or not all(0 < size <= min(self.volume_shape[:2]) for size in self.sizes),
                f"name different sizes of 1 to {min(self.volume_shape[:2])} pixels",
            ),
            (
                "white_percentile",
                not 0 < self.white_percentile <= 100,
                "choose a value above 0, up to 100",
            ),
            (
                "split",
                not (min(self.split) >= 0 and abs(sum(self.split) - 1) <= 1e-6),  # NaN too
                "choose non-negative fractions of train, validation, test that sum to 1",
            ),
        ]

    @property
    def slices_per_scan(self) -> int:
        """How many images of one sequence a scan gives."""
        return self.last_slice - self.first_slice + 1

    def as_record(self) -> dict[str, Any]:
        """For `prepared.json`: the values, and in words what the numbers refer to."""
        values = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }
        return {
            **values,
            "axis": "x of LPS, growing to the patient's left",
            "shown": "superior up, anterior left",
            "resize": "area",
            "revision": REVISION,
        }
