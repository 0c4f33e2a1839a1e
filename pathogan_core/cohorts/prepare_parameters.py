"""The choices behind prepared slices, each by name."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pathogan_core.cohorts.cases import SEQUENCES, TISSUES
from pathogan_core.cohorts.slices import PLANES, Plane
from pathogan_core.cohorts.splits import SECTION4_SPLITS
from pathogan_core.errors import PathoganError

REVISION = 1  # raise when the same parameters would give other images: it enters the fingerprint
# Recorded only where they differ from their defaults: those were the only values when the first
# sets were prepared, whose fingerprints stay valid.
_LATER = ("plane", "frame", "sequences", "lesion_tissues")

LESION = "lesion"
"""What the arrays of lesion masks are called, where sequences have their names."""
LESION_TISSUES = ("necrosis", "non_enhancing", "enhancing")
"""What an annotator draws a box around: the lesion, not the oedema about it."""


@dataclass(frozen=True)
class PreparationParameters:
    """How volumes become images: thesis section 3.2.2 by default, `section4` for 4.2.2.

    `data_manifests/brats2016.yaml` holds the same values.

    Attributes:
        grades: which cases are used; the thesis takes high-grade gliomas only.
        first_slice, last_slice: both included, 0-based along the plane's axis of the LPS volume.
            The thesis says #80 to #149 of 240 (sagittal) and #30 to #130 of 155 (axial) without
            naming an origin; in BRATS files index 0 is the patient's right, and the lowest slice.
        sizes: image sizes in pixels, to which the framed slice is shrunk by area averaging.
        white_percentile: of the brain's intensities, mapped to 255; no signal is 0 (the thesis is
            silent).
        split: fractions of the patients for train, validation and test.
        split_seed: another seed is another draw.
        volume_shape: z, y, x that every volume must have, so that a slice number means one place.
        plane: `sagittal` or `axial`.
        frame: side in pixels of a square in which each slice is centred before it is shrunk, with
            zeros around it or cropped; None takes the slice as it is, and stretches it if it is
            not square.
        sequences: which of `cases.SEQUENCES` are kept, in that order.
        lesion_tissues: of `cases.TISSUES`, those that make up a lesion: its mask and exact boxes
            are then kept for each slice (`prepared_lesions`). None: nothing is kept.
    """

    grades: tuple[str, ...] = ("HGG",)
    first_slice: int = 80
    last_slice: int = 149
    sizes: tuple[int, ...] = (128, 64)
    white_percentile: float = 99.5
    split: tuple[float, float, float] = (0.7, 0.1, 0.2)
    split_seed: int = 0
    volume_shape: tuple[int, int, int] = (155, 240, 240)
    plane: str = "sagittal"
    frame: int | None = None
    sequences: tuple[str, ...] = SEQUENCES
    lesion_tissues: tuple[str, ...] = ()

    @classmethod
    def section4(cls, split: str = "possible", **changes: Any) -> PreparationParameters:
        """Axial T1c slices #30 to #130 of high-grade gliomas (thesis section 4.2.2).

        Whole slices of 240 pixels for all uses. Differs: the thesis pads the GAN's images to 256
        (`frame=256`) but not the classifier's, and shrinks both to 224, so that synthetic brains
        are 6.25 % smaller than real ones.

        The smaller sizes are our choice for study scale: means of whole blocks of 2 x 2 and 4 x 4
        pixels. With zeros around them (240 to 256, 120 to 128, 60 to 64; `slices.fit_frame`) they
        are what a progressively growing GAN needs; cutting these off again gives exactly the
        classifier's images. So nothing is resampled, and no scale differs, at these sizes.

        Args:
            split: a name of `splits.SECTION4_SPLITS`.
            changes: other values for any parameter.
        """
        if split not in SECTION4_SPLITS:
            names = ", ".join(SECTION4_SPLITS)
            raise PathoganError(
                f"is {split!r}", where="parameter split", remedy=f"choose one of {names}"
            )
        chosen: dict[str, Any] = {
            "plane": "axial",
            "first_slice": 30,
            "last_slice": 130,
            "sizes": (240, 120, 60),
            "sequences": ("t1c",),
            "split": SECTION4_SPLITS[split],
        }
        return cls(**{**chosen, **changes})

    @classmethod
    def section5(cls, **changes: Any) -> PreparationParameters:
        """Axial T1c slices of patients with metastases and of normal subjects (thesis 5.2).

        The thesis resizes whole slices to 256 pixels and does not say which slices of a volume it
        took: here all between the lowest and the highest that show much of a brain. What has a
        lesion is chosen from these. Skull-stripped brains fill a frame of 192 mm as a head fills
        the usual field of view; its sizes are means of whole or fractional blocks of pixels.

        Args:
            changes: other values for any parameter.
        """
        chosen: dict[str, Any] = {
            "grades": ("metastases", "normal"),
            "plane": "axial",
            "first_slice": 15,
            "last_slice": 140,
            "sizes": (128, 64),
            "sequences": ("t1c",),
            "frame": 192,
            "lesion_tissues": LESION_TISSUES,
        }
        return cls(**{**chosen, **changes})

    def __post_init__(self) -> None:
        if self.plane not in PLANES:
            raise PathoganError(
                f"is {self.plane!r}",
                where="parameter plane",
                remedy=f"choose one of {', '.join(PLANES)}",
            )
        for name, wrong, remedy in self._mistakes():
            if wrong:
                raise PathoganError(
                    f"is {getattr(self, name)!r}", where=f"parameter {name}", remedy=remedy
                )

    def _mistakes(self) -> list[tuple[str, bool, str]]:
        end = self.volume_shape[self.cutting.axis]
        slice_shape = self.cutting.slice_shape(self.volume_shape)
        largest = self.frame or min(slice_shape)
        return [
            ("grades", not self.grades, "name at least one grade"),
            ("first_slice", not 0 <= self.first_slice < end, f"choose 0 to {end - 1}"),
            (
                "last_slice",
                not self.first_slice <= self.last_slice < end,
                f"choose {self.first_slice} to {end - 1}",
            ),
            (
                "frame",
                self.frame is not None and not 0 < self.frame <= 2 * max(slice_shape),
                f"choose 1 to {2 * max(slice_shape)} pixels, or none",
            ),
            (
                "sequences",
                not self.sequences
                or self.sequences != tuple(s for s in SEQUENCES if s in self.sequences),
                f"name some of {', '.join(SEQUENCES)}, in this order",
            ),
            (
                "lesion_tissues",
                not set(self.lesion_tissues) <= set(TISSUES)
                or bool(self.lesion_tissues and self.frame is None),
                f"name some of {', '.join(TISSUES)}, and a frame: boxes need square pixels",
            ),
            (
                "sizes",
                not self.sizes
                or len(set(self.sizes)) != len(self.sizes)
                or not all(0 < size <= largest for size in self.sizes),
                f"name different sizes of 1 to {largest} pixels",
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
    def cutting(self) -> Plane:
        """How volumes are cut."""
        return PLANES[self.plane]

    @property
    def arrays(self) -> tuple[str, ...]:
        """What there is an array of, for each size."""
        return (*self.sequences, LESION) if self.lesion_tissues else self.sequences

    @property
    def slices_per_scan(self) -> int:
        """How many images of one sequence a scan gives."""
        return self.last_slice - self.first_slice + 1

    def as_record(self) -> dict[str, Any]:
        """For `prepared.json`: the values, and in words what the numbers refer to."""
        values = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
            if key not in _LATER or value != getattr(type(self), key)
        }
        return {
            "axis": self.cutting.numbering,
            "shown": self.cutting.shown,
            **values,
            "resize": "area",
            "revision": REVISION,
        }
