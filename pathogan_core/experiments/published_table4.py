"""Thesis Table 4 and the images behind it as data, and what section 5's numbers say when combined.

The table prints, of ten detectors, sensitivity and false positives per slice at one detection
threshold (0.1%) and two IoU thresholds. The number of boxes and of slices in the test set then
gives what it does not print: detections per slice, precision, how detections were matched.

Two caveats hold for every interval here. Boxes are taken as independent, though each test patient
has 86 of them on average and one lesion has a box in every slice it crosses, so that the intervals
are too narrow. And each arm was trained once: chance in training is not in them at all.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy import stats

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.turing import clopper_pearson
from pathogan_core.experiments.published import contradiction, load_rows

BASELINE = "real"
HEADLINE = "cpggan-4k"
"""The arm of section 5.3.2's headline, at IoU 0.25 and 0.5."""

IOUS = (0.25, 0.5)
FAMILY_LABELS = {
    "real": "real only",
    "cpggan": "CPGGAN",
    "cpggan-normal": "CPGGAN + normal",
    "image-to-image": "image-to-image",
}
ARMS = {BASELINE: ("real", 0)} | {
    f"{family}-{thousands}k": (family, 1000 * thousands)
    for family in ("cpggan", "cpggan-normal", "image-to-image")
    for thousands in (4, 8, 12)
}
"""What was added to the real images, and how many of it, by arm; in the table's order."""

SENSITIVITY_ROUNDING = 0.5
"""Percentage points between a sensitivity and its print in whole percent, at most."""

FPS_ROUNDING = 0.005
"""False positives per slice between a number and its print with two decimals, at most."""


@dataclass(frozen=True)
class DetectionSplit:
    """One part of section 5's data: patients, their images and the tumours' boxes in them.

    ``normal`` is no part of the split: healthy subjects, seen by three of the GANs only.
    """

    split: str
    patients: int
    images: int
    boxes: int
    reference: str

    @property
    def images_per_patient(self) -> float:
        """On average."""
        return self.images / self.patients

    @property
    def boxes_per_image(self) -> float:
        """On average."""
        return self.boxes / self.images


def load_detection_split(path: str | Path | None = None) -> dict[str, DetectionSplit]:
    """The data of section 5.2.2 by part; see `published.load_rows`."""
    rows = load_rows(DetectionSplit, "section5_split", ("split",), path)
    return {row.split: row for row in rows}


@dataclass(frozen=True)
class DetectionRow:
    """One arm of Table 4: how many images YOLOv3 was trained on, and what it then found.

    A detector that finds fewer boxes, or has more false positives, at the lower IoU threshold is
    refused: every match at 0.5 is one at 0.25.
    """

    arm: str
    real_images: int
    synthetic_images: int
    sensitivity_iou50_percent: int
    fps_per_slice_iou50: float
    sensitivity_iou25_percent: int
    fps_per_slice_iou25: float
    reference: str

    def __post_init__(self) -> None:
        if self.arm not in ARMS or ARMS[self.arm][1] != self.synthetic_images:
            raise contradiction(
                f"with {self.synthetic_images:,} images is no arm of Table 4", self.arm
            )
        if not 0 <= self.sensitivity_iou50_percent <= self.sensitivity_iou25_percent <= 100:
            raise contradiction("sensitivities do not rise from IoU 0.5 to 0.25", self.arm)
        if not 0 <= self.fps_per_slice_iou25 <= self.fps_per_slice_iou50 < math.inf:
            raise contradiction("false positives do not fall from IoU 0.5 to 0.25", self.arm)

    @property
    def family(self) -> str:
        """What made the added images; a key of `FAMILY_LABELS`."""
        return ARMS[self.arm][0]

    @property
    def label(self) -> str:
        """For figures, e.g. "4k CPGGAN"."""
        added = f"{self.synthetic_images // 1000}k " if self.synthetic_images else ""
        return added + FAMILY_LABELS[self.family]

    def printed(self, iou: float) -> tuple[int, float]:
        """(sensitivity in percent, false positives per slice) at one of `IOUS`."""
        return {
            0.5: (self.sensitivity_iou50_percent, self.fps_per_slice_iou50),
            0.25: (self.sensitivity_iou25_percent, self.fps_per_slice_iou25),
        }[iou]


def load_detection(path: str | Path | None = None) -> list[DetectionRow]:
    """Thesis Table 4, or a CSV of the same columns at `path`; see `published.load_rows`."""
    return load_rows(DetectionRow, "table4_detection", ("arm",), path)


@dataclass(frozen=True)
class RoundedShare:
    """A proportion of `n` boxes, printed in whole percent."""

    percent: int
    n: int

    @property
    def value(self) -> float:
        """As printed, in [0, 1]."""
        return self.percent / 100

    @property
    def counts(self) -> tuple[int, int]:
        """The least and the greatest number of boxes that print so."""
        low, high = (
            (self.percent + side * SENSITIVITY_ROUNDING) * self.n / 100 for side in (-1, 1)
        )
        return max(0, math.ceil(low)), min(self.n, math.floor(high))

    @property
    def interval(self) -> tuple[float, float]:
        """Hull of the exact (Clopper-Pearson) 95% intervals of all `counts`, boxes independent."""
        low, high = self.counts
        return clopper_pearson(low, self.n)[0], clopper_pearson(high, self.n)[1]


@dataclass(frozen=True)
class OperatingPoint:
    """An arm at one IoU threshold, and what follows with the size of the test set.

    The derived numbers take each detection to match at most one box and each box at most one
    detection, which `matching_checks` tests.
    """

    row: DetectionRow
    iou: float
    test: DetectionSplit

    @property
    def group(self) -> str:
        """What made the added images, for figures."""
        return FAMILY_LABELS[self.row.family]

    @property
    def label(self) -> str:
        """The arm, for figures."""
        return self.row.label

    @property
    def short(self) -> str:
        """How many images were added, for where there is no room."""
        thousands = self.row.synthetic_images // 1000
        return f"{thousands}k" if thousands else "0"

    @property
    def sensitivity(self) -> RoundedShare:
        """Share of the boxes that were found."""
        return RoundedShare(self.row.printed(self.iou)[0], self.test.boxes)

    @property
    def fps_per_slice(self) -> float:
        """Detections that match no box."""
        return self.row.printed(self.iou)[1]

    @property
    def found_per_slice(self) -> float:
        """Boxes found."""
        return self.sensitivity.value * self.test.boxes_per_image

    @property
    def detections_per_slice(self) -> float:
        """Right and wrong ones."""
        return self.found_per_slice + self.fps_per_slice

    @property
    def precision(self) -> float:
        """Share of the detections that match a box, in [0, 1]."""
        return self.found_per_slice / self.detections_per_slice

    @property
    def precision_range(self) -> tuple[float, float]:
        """Between which precisions the rounding of the two printed numbers leaves the choice."""
        ends = []
        for side in (-1, 1):
            sensitivity = self.sensitivity.value + side * SENSITIVITY_ROUNDING / 100
            found = sensitivity * self.test.boxes_per_image
            ends.append(found / (found + self.fps_per_slice - side * FPS_ROUNDING))
        return ends[0], ends[1]


def operating_points(
    rows: Sequence[DetectionRow] | None = None, test: DetectionSplit | None = None
) -> dict[tuple[str, float], OperatingPoint]:
    """Every arm at both IoU thresholds, by (arm, IoU); the table's order, IoU 0.25 first.

    Args:
        rows: Table 4 by default.
        test: sizes of the test set, those of section 5.2.2 by default.
    """
    rows, test = _defaults(rows, test)
    return {(row.arm, iou): OperatingPoint(row, iou, test) for iou in IOUS for row in rows}


def _defaults(
    rows: Sequence[DetectionRow] | None, test: DetectionSplit | None
) -> tuple[Sequence[DetectionRow], DetectionSplit]:
    return (
        load_detection() if rows is None else rows,
        load_detection_split()["test"] if test is None else test,
    )


@dataclass(frozen=True)
class MatchingCheck:
    """Does an arm have the same number of detections at both IoU thresholds?

    Where each detection matches at most one box and each box at most one detection, going from
    IoU 0.5 to 0.25 turns exactly as many false positives into matches as boxes are found in
    addition. Were a second detection of a box no false positive, or one detection good for two
    boxes, the two numbers would part.

    Attributes:
        fewer_fps: false positives per slice at IoU 0.5 minus those at 0.25.
        more_found: boxes found per slice at IoU 0.25 minus those at 0.5.
        rounding: how far apart the prints can be though the numbers are equal.
    """

    row: DetectionRow
    fewer_fps: float
    more_found: float
    rounding: float

    @property
    def holds(self) -> bool:
        """Equal within rounding."""
        return abs(self.fewer_fps - self.more_found) <= self.rounding


def matching_checks(
    rows: Sequence[DetectionRow] | None = None, test: DetectionSplit | None = None
) -> list[MatchingCheck]:
    """`MatchingCheck` of each arm; arguments as of `operating_points`."""
    rows, test = _defaults(rows, test)
    rounding = 2 * FPS_ROUNDING + 2 * SENSITIVITY_ROUNDING / 100 * test.boxes_per_image
    return [
        MatchingCheck(
            row, _fewer_fps(row), _more_sensitive(row) * test.boxes_per_image, rounding + 1e-9
        )
        for row in rows
    ]


def _fewer_fps(row: DetectionRow) -> float:
    return row.fps_per_slice_iou50 - row.fps_per_slice_iou25


def _more_sensitive(row: DetectionRow) -> float:
    return (row.sensitivity_iou25_percent - row.sensitivity_iou50_percent) / 100


def implied_slices(
    rows: Sequence[DetectionRow] | None = None, test: DetectionSplit | None = None
) -> tuple[float, float]:
    """Least and greatest number of slices over which Table 4 can have averaged.

    With one detection to a box, `boxes` x (rise of sensitivity) matches are gained from IoU 0.5 to
    0.25, and false positives fall by just as many: their fall *per slice* tells the number of
    slices. Each arm gives a range because of rounding; all share the test set, so that the ranges
    are intersected. The test set's 947 images lie in it. They are 26 of a patient, where normal
    subjects give 88 each: it seems that slices without a tumour were left out.

    Raises:
        PathoganError: no number of slices fits all arms.
    """
    rows, test = _defaults(rows, test)
    lows, highs = [], []
    for row in rows:
        gained, fewer = _more_sensitive(row), _fewer_fps(row)
        lows.append((gained - 2 * SENSITIVITY_ROUNDING / 100) / (fewer + 2 * FPS_ROUNDING))
        least = fewer - 2 * FPS_ROUNDING
        highs.append((gained + 2 * SENSITIVITY_ROUNDING / 100) / least if least > 0 else math.inf)
    low, high = test.boxes * max(lows), test.boxes * min(highs)
    if low > high:
        raise PathoganError(
            "no number of slices fits all arms",
            where="published Table 4",
            remedy="compare the rows with their reference",
        )
    return low, high


def beating_baseline(
    points: Mapping[tuple[str, float], OperatingPoint], iou: float, baseline: str = BASELINE
) -> list[OperatingPoint]:
    """Arms that find more boxes than the baseline *and* have fewer false positives."""
    reference = points[baseline, iou]
    return [
        point
        for (_, at), point in points.items()
        if at == iou
        and point.sensitivity.value > reference.sensitivity.value
        and point.fps_per_slice < reference.fps_per_slice
    ]


@dataclass(frozen=True)
class Price:
    """What an arm finds in addition to its baseline, and what it pays for that.

    Attributes:
        more_found: boxes of the test set, arm minus baseline.
        more_fps: false positives in the test set, arm minus baseline.
        fps_ratio: arm's false positives over the baseline's.
    """

    point: OperatingPoint
    baseline: OperatingPoint
    more_found: float
    more_fps: float
    fps_ratio: float

    @property
    def fps_per_found(self) -> float:
        """Additional false positives for each additional box; infinite if there is none."""
        return self.more_fps / self.more_found if self.more_found else math.inf


def price(point: OperatingPoint, baseline: OperatingPoint) -> Price:
    """An arm against a baseline of the same test set and IoU threshold."""
    slices = point.test.images
    return Price(
        point,
        baseline,
        more_found=(point.found_per_slice - baseline.found_per_slice) * slices,
        more_fps=(point.fps_per_slice - baseline.fps_per_slice) * slices,
        fps_ratio=point.fps_per_slice / baseline.fps_per_slice,
    )


def headline(points: Mapping[tuple[str, float], OperatingPoint], iou: float = 0.25) -> Price:
    """The headline: 4,000 CPGGAN images against real images only."""
    return price(points[HEADLINE, iou], points[BASELINE, iou])


def by_number_of_images(
    points: Mapping[tuple[str, float], OperatingPoint], family: str, iou: float
) -> list[OperatingPoint]:
    """The arms of a family in the order of the number of images that were added.

    Raises:
        PathoganError: there is no such family.
    """
    if family not in FAMILY_LABELS:
        remedy = f"choose from {', '.join(FAMILY_LABELS)}"
        raise PathoganError(f"{family!r} is unknown", where="family", remedy=remedy)
    own = [p for (_, at), p in points.items() if at == iou and p.row.family == family]
    return sorted(own, key=lambda point: point.row.synthetic_images)


def rises_throughout(points: Collection[OperatingPoint]) -> bool:
    """Whether no arm is less sensitive than the one before it."""
    percents = [point.sensitivity.percent for point in points]
    return percents == sorted(percents)


def sensitivity_follows_fps(
    points: Mapping[tuple[str, float], OperatingPoint], iou: float
) -> float:
    """Spearman's rank correlation of sensitivity with false positives over all arms, in [-1, 1].

    Near 1, arms stand in one line: who reports more, finds more. That is what ten thresholds of
    one and the same detector would look like, so that the table cannot tell a better detector from
    one that is quicker to report.
    """
    own = [point for (_, at), point in points.items() if at == iou]
    ranks = stats.spearmanr([p.fps_per_slice for p in own], [p.sensitivity.value for p in own])
    return float(ranks.statistic)
