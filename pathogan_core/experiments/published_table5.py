"""Thesis Table 5 and the scans behind it as data, and the counts of nodules it was printed from.

The table prints the CPM of seven detectors: of all test nodules, by size, and by attenuation. A CPM
is the mean of `RATES` sensitivities, so that it is a whole number of *hits* out of 7 x nodules. The
thesis does not say how many nodules a class has. But a nodule has one size and one attenuation, so
that the hits of three classes add up to those of all, and few class sizes allow that in any row:
`class_sizes` tries every one. With them a print becomes hits again, nearly always a single number.

Two caveats hold for what is compared here. Each arm was trained once: chance in training is not in
the table. And nodules are taken as independent, though some share a scan.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pathogan_core.errors import PathoganError
from pathogan_core.experiments.published import ROUNDING, contradiction, load_rows

BASELINE = "real"
HEADLINE = "mcgan-1x"
"""The arm that section 6.3.2 says to be better than the baseline in every class."""

ALL = "cpm"
SIZES = ("small", "medium", "large")
ATTENUATIONS = ("solid", "part_solid", "ggn")
COLUMN_LABELS = {
    ALL: "all",
    **{name: name for name in SIZES},
    "solid": "solid",
    "part_solid": "part-solid",
    "ggn": "GGN",
}
"""What the table has a CPM of."""

RATES = 7
"""Numbers of false positives per scan over which a CPM is the mean: 1/8, 1/4, 1/2, 1, 2, 4, 8."""

FAMILY_LABELS = {"real": "real only", "mcgan": "MCGAN", "mcgan-l1": "MCGAN with ℓ1"}
ARMS = {BASELINE: ("real", 0)} | {
    f"{family}-{copies}x": (family, copies)
    for family in ("mcgan", "mcgan-l1")
    for copies in (1, 2, 3)
}
"""What was added to the real scans, and how many times as many, by arm; in the table's order."""

Range = tuple[int, int]
"""The least and the greatest a whole number can be; equal where it is known."""


@dataclass(frozen=True)
class NoduleSplit:
    """One part of section 6's data."""

    split: str
    scans: int
    nodules: int
    reference: str

    @property
    def nodules_per_scan(self) -> float:
        """On average."""
        return self.nodules / self.scans


def load_nodule_split(path: str | Path | None = None) -> dict[str, NoduleSplit]:
    """The data of section 6.2.1 by part; see `published.load_rows`."""
    rows = load_rows(NoduleSplit, "section6_split", ("split",), path)
    return {row.split: row for row in rows}


@dataclass(frozen=True)
class NoduleRow:
    """One arm of Table 5: the scans its detector was trained on, and its CPMs in percent.

    `l1_weight` is that of equation 2; 0 is equation 1.
    """

    arm: str
    real_scans: int
    synthetic_scans: int
    l1_weight: int
    cpm_percent: float
    small_percent: float
    medium_percent: float
    large_percent: float
    solid_percent: float
    part_solid_percent: float
    ggn_percent: float
    reference: str

    def __post_init__(self) -> None:
        if self.arm not in ARMS or self.synthetic_scans != self.copies * self.real_scans:
            raise contradiction(
                f"with {self.synthetic_scans:,} scans is no arm of Table 5", self.arm
            )
        if not all(0 <= self.percent(column) <= 100 for column in COLUMN_LABELS):
            raise contradiction("a CPM is no percentage", self.arm)

    @property
    def family(self) -> str:
        """What made the added scans; a key of `FAMILY_LABELS`."""
        return ARMS[self.arm][0]

    @property
    def copies(self) -> int:
        """Synthetic scans for each real one."""
        return ARMS[self.arm][1]

    @property
    def label(self) -> str:
        """For figures, e.g. "1× MCGAN"."""
        return (f"{self.copies}× " if self.copies else "") + FAMILY_LABELS[self.family]

    def percent(self, column: str) -> float:
        """The printed CPM of a key of `COLUMN_LABELS`."""
        return float(getattr(self, f"{column}_percent"))


def load_nodules(path: str | Path | None = None) -> list[NoduleRow]:
    """Thesis Table 5, or a CSV of the same columns at `path`; see `published.load_rows`."""
    return load_rows(NoduleRow, "table5_nodules", ("arm",), path)


def hits_that_print(percent: float, nodules: ArrayLike) -> tuple[NDArray, NDArray]:
    """The least and the greatest number of hits out of 7 x nodules whose share prints so.

    Where the least exceeds the greatest no number of hits does: so many nodules cannot be.
    """
    cells = RATES * np.asarray(nodules) / 100
    least = np.ceil((percent - ROUNDING) * cells).clip(min=0)
    greatest = np.minimum(np.floor((percent + ROUNDING) * cells), np.round(100 * cells))
    return least.astype(int), greatest.astype(int)


@dataclass(frozen=True)
class ClassSizes:
    """Numbers of test nodules in three classes, and the arms whose three CPMs then add up."""

    nodules: tuple[int, int, int]
    arms: tuple[str, ...]


def class_sizes(
    columns: Sequence[str],
    rows: Sequence[NoduleRow] | None = None,
    nodules: int | None = None,
) -> list[ClassSizes]:
    """All sizes of three classes with which a row adds up; those of the most rows first.

    A row adds up if hits that print as its three CPMs have a sum that prints as its CPM of all
    nodules. No class is empty.

    Args:
        columns: three classes: `SIZES` or `ATTENUATIONS`.
        rows: Table 5 by default.
        nodules: of all classes together, by default those of the test set.
    """
    rows, nodules = _defaults(rows, nodules)
    first, second = np.mgrid[1:nodules, 1:nodules]
    inside = first + second < nodules
    sizes = [first[inside], second[inside], nodules - (first + second)[inside]]
    fits = np.stack([_adds_up(row, columns, sizes, nodules) for row in rows])
    order = np.argsort(-fits.sum(axis=0), kind="stable")
    return [
        ClassSizes(
            (int(sizes[0][k]), int(sizes[1][k]), int(sizes[2][k])),
            tuple(row.arm for row, fit in zip(rows, fits[:, k], strict=True) if fit),
        )
        for k in order[: np.count_nonzero(fits.any(axis=0))]
    ]


def _adds_up(
    row: NoduleRow, columns: Sequence[str], sizes: Sequence[NDArray], nodules: int
) -> NDArray[np.bool_]:
    """Which class sizes ``[K]`` let hits that print as the row's CPMs have a sum that does."""
    hits = [hits_that_print(row.percent(c), n) for c, n in zip(columns, sizes, strict=True)]
    least, greatest = hits_that_print(row.percent(ALL), nodules)
    possible = np.all([low <= high for low, high in hits], axis=0)
    lows, highs = (sum(ends) for ends in zip(*hits, strict=True))
    return possible & (lows <= greatest) & (highs >= least)


def _defaults(
    rows: Sequence[NoduleRow] | None, nodules: int | None
) -> tuple[Sequence[NoduleRow], int]:
    return (
        load_nodules() if rows is None else rows,
        load_nodule_split()["test"].nodules if nodules is None else nodules,
    )


@dataclass(frozen=True)
class DecodedRow:
    """An arm's CPMs as hits, added over the seven rates of false positives.

    Attributes:
        nodules: of the test set in each of `COLUMN_LABELS`.
        hits: the same in numbers of hits, of 7 x nodules. Where the classes add up to all, only
            hits that do are left.
    """

    row: NoduleRow
    nodules: Mapping[str, int]
    hits: Mapping[str, Range]

    def surplus(self, columns: Sequence[str]) -> Range:
        """Hits of three classes minus those of all nodules: 0 lies between, or the row is wrong."""
        low, high = _sum(self.hits[column] for column in columns)
        least, greatest = self.hits[ALL]
        return low - greatest, high - least

    def adds_up(self, columns: Sequence[str]) -> bool:
        """Whether the printed numbers of three classes agree with that of all."""
        low, high = self.surplus(columns)
        return low <= 0 <= high

    def implied_percent(self, column: str) -> tuple[float, float]:
        """What a class' CPM would be if all other prints of its partition were right."""
        own = SIZES if column in SIZES else ATTENUATIONS
        low, high = _sum(self.hits[other] for other in own if other != column)
        least, greatest = self.hits[ALL]
        cells = RATES * self.nodules[column]
        return 100 * (least - high) / cells, 100 * (greatest - low) / cells


def _sum(ranges: Iterable[Range]) -> Range:
    lows, highs = zip(*ranges, strict=True)
    return sum(lows), sum(highs)


def decoded(
    rows: Sequence[NoduleRow] | None = None, nodules: int | None = None
) -> dict[str, DecodedRow]:
    """Every arm's hits, by arm, with the class sizes that the most rows agree on.

    Raises:
        PathoganError: no class sizes, or several, agree with the most rows.
    """
    rows, nodules = _defaults(rows, nodules)
    counts = {ALL: nodules}
    for columns in (SIZES, ATTENUATIONS):
        best = class_sizes(columns, rows, nodules)[:2]
        if len({len(sizes.arms) for sizes in best}) < len(best) or not best:
            raise PathoganError(
                f"no one set of class sizes fits {', '.join(columns)} best",
                where="published Table 5",
                remedy="compare the rows with their reference",
            )
        counts |= dict(zip(columns, best[0].nodules, strict=True))
    return {row.arm: DecodedRow(row, counts, _hits(row, counts)) for row in rows}


def _hits(row: NoduleRow, nodules: Mapping[str, int]) -> dict[str, Range]:
    """Hits that print as the row says; where both partitions can add up to all, only those."""
    hits = {}
    for column, n in nodules.items():
        low, high = hits_that_print(row.percent(column), n)
        hits[column] = int(low), int(high)
    totals = set(range(hits[ALL][0], hits[ALL][1] + 1))
    adding = {}
    for columns in (SIZES, ATTENUATIONS):
        choices = itertools.product(*(range(hits[c][0], hits[c][1] + 1) for c in columns))
        solutions = [one for one in choices if sum(one) in totals]
        if solutions:
            adding[columns] = solutions
            totals &= {sum(one) for one in solutions}
    hits[ALL] = min(totals), max(totals)
    for columns, solutions in adding.items():
        left = [one for one in solutions if sum(one) in totals]
        hits |= {c: (min(k), max(k)) for c, k in zip(columns, zip(*left, strict=True), strict=True)}
    return hits


@dataclass(frozen=True)
class Gain:
    """What an arm finds of one column's nodules in addition to its baseline.

    Attributes:
        hits: arm minus baseline, added over the seven rates.
        standard_error_percent: binomial, in percentage points, of *one* sensitivity of the
            baseline: what other test nodules of the same kind would do to it.
    """

    hits: Range
    standard_error_percent: float

    @property
    def nodules_per_rate(self) -> tuple[float, float]:
        """At one rate of false positives, on average."""
        return self.hits[0] / RATES, self.hits[1] / RATES


def gains(arm: DecodedRow, baseline: DecodedRow) -> dict[str, Gain]:
    """An arm against a baseline of the same test set, for each of `COLUMN_LABELS`."""
    found = {}
    for column, (low, high) in arm.hits.items():
        least, greatest = baseline.hits[column]
        share, n = baseline.row.percent(column) / 100, baseline.nodules[column]
        noise = 100 * math.sqrt(share * (1 - share) / n)
        found[column] = Gain((low - greatest, high - least), noise)
    return found


def below_baseline(rows: Sequence[NoduleRow] | None = None, baseline: str = BASELINE) -> list[str]:
    """Arms whose CPM of all nodules is lower than the baseline's."""
    rows = load_nodules() if rows is None else rows
    reference = next(row.cpm_percent for row in rows if row.arm == baseline)
    return [row.arm for row in rows if row.cpm_percent < reference]
