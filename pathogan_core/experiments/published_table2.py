"""Thesis Table 2 and the split behind it as data, and which of section 4's statements they carry.

Three caveats hold for every p value here. Images are taken as independent, though many come from
one patient; each arm was trained once, so chance in training is not in them; and two arms saw the
same test images, but which images each got wrong is not printed. The last can be bounded: see
`paired_p_range`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import stats

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.turing import ALPHA, clopper_pearson, holm
from pathogan_core.experiments.published import ROUNDING, contradiction, load_rows, same_share

SLICES_PER_PATIENT = 130 - 30 + 1
"""Axial slices #30 to #130 of a case: the most images one patient can give (section 4.2.2)."""

BATCH = 96
"""Images in one training step of ResNet-50 (section 4.2.4)."""

ARM_LABELS = {
    "real": "real only",
    "classic-200k": "200k classic",
    "classic-400k": "400k classic",
    "pggan": "PGGAN",
    "pggan-undiscarded": "PGGAN, none discarded",
    "classic-pggan": "classic + PGGAN",
    "munit": "MUNIT",
    "classic-munit": "classic + MUNIT",
    "simgan": "SimGAN",
    "classic-simgan": "classic + SimGAN",
}
TRAINING_LABELS = {"pretrained": "pre-trained on ImageNet", "scratch": "from scratch"}
MEASURES = ("accuracy", "sensitivity", "specificity")


@dataclass(frozen=True)
class SplitRow:
    """One part of the patients: how many, and how many images with and without tumour."""

    split: str
    patients: int
    tumour: int
    non_tumour: int
    reference: str

    @property
    def images(self) -> int:
        """With and without tumour."""
        return self.tumour + self.non_tumour

    @property
    def images_per_patient(self) -> float:
        """On average."""
        return self.images / self.patients

    @property
    def possible(self) -> bool:
        """So many images can come from so many patients, `SLICES_PER_PATIENT` each at most."""
        return self.images <= self.patients * SLICES_PER_PATIENT


def load_split(path: str | Path | None = None) -> list[SplitRow]:
    """The split of section 4.2.2 as printed; see `published.load_rows`."""
    return load_rows(SplitRow, "section4_split", ("split",), path)


def swap_patients(
    rows: Sequence[SplitRow], first: str = "validation", second: str = "test"
) -> list[SplitRow]:
    """The split with two numbers of patients exchanged, images where they were."""
    patients = {row.split: row.patients for row in rows}
    patients[first], patients[second] = patients[second], patients[first]
    return [replace(row, patients=patients[row.split]) for row in rows]


@dataclass(frozen=True)
class ArmRow:
    """One arm of Table 2: what ResNet-50 was trained on, and what it then got right.

    `training` is "pretrained" or "scratch"; the numbers of images are those added up for training.
    """

    arm: str
    training: str
    row: int
    real_images: int
    classic_images: int
    synthetic_images: int
    accuracy_percent: float
    sensitivity_percent: float
    specificity_percent: float
    reference: str

    def __post_init__(self) -> None:
        name = f"{self.arm}, {self.training}"
        if self.arm not in ARM_LABELS or self.training not in TRAINING_LABELS:
            raise contradiction("is no arm of Table 2", name)
        for measure in MEASURES:
            if not 0 <= (percent := getattr(self, f"{measure}_percent")) <= 100:
                raise contradiction(f"{measure} is {percent}%", name)

    @property
    def images(self) -> int:
        """All training images."""
        return self.real_images + self.classic_images + self.synthetic_images

    @property
    def steps_per_epoch(self) -> int:
        """Batches of `BATCH` that show every training image once."""
        return math.ceil(self.images / BATCH)


@dataclass(frozen=True)
class Share:
    """A proportion, `count` of `n`."""

    count: int
    n: int

    @property
    def value(self) -> float:
        """In [0, 1]."""
        return self.count / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """Exact (Clopper-Pearson) 95% interval, as if the images were independent."""
        return clopper_pearson(self.count, self.n)


@dataclass(frozen=True)
class Arm:
    """An arm of Table 2 in counts of test images.

    `fits` is how many pairs of counts print as all three of its percentages: 1 where the print
    decides, more where it leaves a choice (then the pair nearest to the printed sensitivity and
    specificity stands), 0 where no test set of this size gives these three numbers.
    """

    row: ArmRow
    sensitivity: Share
    specificity: Share
    fits: int

    @property
    def accuracy(self) -> Share:
        """Right answers of all."""
        right = self.sensitivity.count + self.specificity.count
        return Share(right, self.sensitivity.n + self.specificity.n)

    @property
    def group(self) -> str:
        """How the network began, for figures."""
        return TRAINING_LABELS[self.row.training]

    @property
    def label(self) -> str:
        """What was added to the real images, for figures."""
        return ARM_LABELS[self.row.arm]

    @property
    def short(self) -> str:
        """The number of its row in Table 2."""
        return str(self.row.row)


def load_arms(path: str | Path | None = None) -> list[ArmRow]:
    """Thesis Table 2, pre-trained arms first; see `published.load_rows`."""
    return load_rows(ArmRow, "table2_classification", ("arm", "training"), path)


def whole_counts(row: ArmRow, test: SplitRow) -> list[tuple[int, int]]:
    """Pairs (tumour images found, others cleared) that print as all three percentages of `row`."""
    return [
        (found, cleared)
        for found in _printing(row.sensitivity_percent, test.tumour)
        for cleared in _printing(row.specificity_percent, test.non_tumour)
        if abs(100 * (found + cleared) / test.images - row.accuracy_percent) <= ROUNDING
    ]


def _printing(percent: float, n: int) -> list[int]:
    low, high = ((percent + side * ROUNDING) * n / 100 for side in (-1, 1))
    return list(range(math.ceil(low), math.floor(high) + 1))


def count_arms(
    rows: Sequence[ArmRow] | None = None, test: SplitRow | None = None
) -> dict[tuple[str, str], Arm]:
    """The arms in counts, by (arm, training), in the table's order.

    Args:
        rows: Table 2 by default.
        test: sizes of the test set, those of section 4.2.2 by default.
    """
    rows = load_arms() if rows is None else rows
    test = next(row for row in load_split() if row.split == "test") if test is None else test
    return {(row.arm, row.training): _counted(row, test) for row in rows}


def _counted(row: ArmRow, test: SplitRow) -> Arm:
    printed = (
        row.sensitivity_percent * test.tumour / 100,
        row.specificity_percent * test.non_tumour / 100,
    )
    fits = whole_counts(row, test)
    nearest = (round(printed[0]), round(printed[1]))
    found, cleared = min(fits or [nearest], key=lambda pair: math.dist(pair, printed))
    return Arm(row, Share(found, test.tumour), Share(cleared, test.non_tumour), len(fits))


def arms_printing(arms: dict[tuple[str, str], Arm], sensitivity_percent: float) -> list[Arm]:
    """The arms whose printed sensitivity is this number to one decimal."""
    return [
        arm
        for arm in arms.values()
        if abs(arm.row.sensitivity_percent - sensitivity_percent) <= ROUNDING
    ]


def identical_arms(arms: dict[tuple[str, str], Arm]) -> list[tuple[Arm, Arm]]:
    """Pairs of arms that print the same accuracy, sensitivity and specificity."""
    every = list(arms.values())
    return [
        (first, second)
        for position, first in enumerate(every)
        for second in every[position + 1 :]
        if all(
            getattr(first.row, f"{measure}_percent") == getattr(second.row, f"{measure}_percent")
            for measure in MEASURES
        )
    ]


@dataclass(frozen=True)
class ArmComparison:
    """An arm against its control in one measure.

    Attributes:
        difference: arm minus control, in [-1, 1].
        p: Fisher's exact two-sided value, as if each arm had had test images of its own.
        p_holm: the same, adjusted for all comparisons that were made together.
        p_paired: least and greatest value that McNemar's exact test can give with these counts.
    """

    arm: Arm
    control: Arm
    measure: str
    difference: float
    p: float
    p_holm: float
    p_paired: tuple[float, float]

    @property
    def beyond_noise(self) -> bool:
        """Significant at 5% over all comparisons that were made together."""
        return self.p_holm < ALPHA


def claims(
    arms: dict[tuple[str, str], Arm], classic: str = "classic-400k"
) -> list[tuple[Arm, Arm]]:
    """The twenty comparisons (arm, control) behind section 4.3.3, ten for each way of training.

    Six ways of adding images against real images only, 400k classic images against 200k, and each
    GAN together with classic augmentation against `classic` alone. By default that is the arm with
    as many added images; the thesis' headline takes ``classic-200k``.
    """
    alone = ("classic-200k", "classic-400k", "pggan", "pggan-undiscarded", "munit", "simgan")
    pairs = [(name, "real") for name in alone] + [("classic-400k", "classic-200k")]
    pairs += [(f"classic-{gan}", classic) for gan in ("pggan", "munit", "simgan")]
    return [
        (arms[name, training], arms[control, training])
        for training in TRAINING_LABELS
        for name, control in pairs
    ]


def headline(arms: dict[tuple[str, str], Arm]) -> list[tuple[Arm, Arm]]:
    """Classic + MUNIT against classic alone: first as the headline has it, then like for like.

    The headline sets an arm from scratch against a pre-trained one. The other four have both alike,
    against 200k and 400k classic images.
    """
    best, control = "classic-munit", "classic-200k"
    mixed = (arms[best, "scratch"], arms[control, "pretrained"])
    return [mixed] + [
        (arms[best, training], arms[classic, training])
        for training in TRAINING_LABELS
        for classic in (control, "classic-400k")
    ]


def compare(pairs: Sequence[tuple[Arm, Arm]], measure: str = "sensitivity") -> list[ArmComparison]:
    """Tests each (arm, control) in one measure, with Holm's correction over all of `pairs`.

    Raises:
        PathoganError: `measure` is none of `MEASURES`.
    """
    if measure not in MEASURES:
        remedy = f"choose from {', '.join(MEASURES)}"
        raise PathoganError(f"{measure!r} is unknown", where="measure", remedy=remedy)
    shares = [(getattr(arm, measure), getattr(control, measure)) for arm, control in pairs]
    p_values = [same_share((a.count, a.n), (b.count, b.n)) for a, b in shares]
    return [
        ArmComparison(*pair, measure, a.value - b.value, p, p_holm, paired_p_range(a, b))
        for pair, (a, b), p, p_holm in zip(pairs, shares, p_values, holm(p_values), strict=True)
    ]


def paired_p_range(a: Share, b: Share) -> tuple[float, float]:
    """Least and greatest p value of McNemar's exact test over all tables with these two counts.

    Both arms saw the same n images. With `both` images right in both arms, `a.count - both` were
    right in the first only and `b.count - both` in the second only; a fair coin decides such
    images if the arms are equally good. The greatest p value belongs to arms that err on different
    images, the least to arms one of which is right wherever the other is.

    Raises:
        ValueError: the two are not of the same n.
    """
    if a.n != b.n:
        raise ValueError(f"{a.n} and {b.n} images cannot be the same ones")
    both = np.arange(max(0, a.count + b.count - a.n), min(a.count, b.count) + 1)
    first_only, second_only = a.count - both, b.count - both
    tail = stats.binom.cdf(np.minimum(first_only, second_only), first_only + second_only, 0.5)
    p_values = np.minimum(1, 2 * tail)
    return float(p_values.min()), float(p_values.max())
