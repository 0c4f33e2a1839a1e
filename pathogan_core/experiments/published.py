"""Tables the thesis printed, as data, and what its first Visual Turing Test says computed again.

The tables are CSV files in `published/` beside this file; each row names where it was printed. The
reference gives section and table: page numbers differ between copies of the thesis. This file reads
any of them and holds Table 1; `published_table2` and `published_table3` hold section 4's,
`published_table4` and `published_table5` those of sections 5 and 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from scipy import stats

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation import catalogue
from pathogan_core.evaluation.csv_rows import read_rows
from pathogan_core.evaluation.turing import ALPHA, Confusion, TuringResult, holm, judge

MODEL_LABELS = {"dcgan": "DCGAN", "wgan": "WGAN"}
SEQUENCE_LABELS = {**catalogue.SEQUENCE_LABELS, "concat": "Concat"}

ROUNDING = 0.05 + 1e-9
"""Percentage points between a number and its print with one decimal, at most."""

Row = TypeVar("Row")


@dataclass(frozen=True)
class TuringTableRow:
    """What every published Visual Turing Test holds: one reader's answers, real or synthetic.

    Percentages are of the images of that truth, `accuracy_percent` of all. A row whose numbers
    contradict each other raises `PathoganError`. Subclasses say what was shown.
    """

    n_real: int
    n_synthetic: int
    accuracy_percent: float
    real_as_real_percent: float
    real_as_synthetic_percent: float
    synthetic_as_real_percent: float
    synthetic_as_synthetic_percent: float
    reference: str

    def __post_init__(self) -> None:
        _ = self.confusion  # contradictions surface here, when the table is read

    @property
    def group(self) -> str:
        """What figures write in the legend."""
        raise NotImplementedError

    @property
    def label(self) -> str:
        """What figures write beside the mark."""
        raise NotImplementedError

    @property
    def confusion(self) -> Confusion:
        """The percentages as counts of images."""
        rates = (
            self.real_as_real_percent,
            self.real_as_synthetic_percent,
            self.synthetic_as_real_percent,
            self.synthetic_as_synthetic_percent,
        )
        return self._counts(rates, (self.n_real, self.n_synthetic), self.accuracy_percent)

    def _counts(
        self, rates: Sequence[float], n: tuple[int, int], accuracy_percent: float
    ) -> Confusion:
        """Percentages of two truths, two answers each, as counts; held against their accuracy."""
        if rates[0] + rates[1] != 100 or rates[2] + rates[3] != 100:
            raise self._contradiction("the rates of a truth do not add up to 100%")
        counts = Confusion(*map(self._count, rates, (n[0], n[0], n[1], n[1])))
        if abs(100 * counts.correct / counts.n - accuracy_percent) > ROUNDING:
            raise self._contradiction("the accuracy does not follow from the rates")
        return counts

    def _count(self, percent: float, n: int) -> int:
        count = percent * n / 100
        if abs(count - round(count)) > 1e-6:
            raise self._contradiction(f"{percent}% of {n} images is no whole number of images")
        return round(count)

    def _contradiction(self, problem: str) -> PathoganError:
        return contradiction(problem, f"{self.group} {self.label}")


@dataclass(frozen=True)
class VisualTuringRow(TuringTableRow):
    """One row of thesis Table 1; `size` is the images' side in pixels."""

    model: str
    sequence: str
    size: int

    def __post_init__(self) -> None:
        if self.model not in MODEL_LABELS or self.sequence not in SEQUENCE_LABELS:
            setup = f"{self.model}, {self.sequence}"
            raise contradiction(f"unknown set-up {setup}", f"{setup}, {self.size}")
        super().__post_init__()

    @property
    def group(self) -> str:
        """The model, e.g. "WGAN"."""
        return MODEL_LABELS[self.model]

    @property
    def label(self) -> str:
        """The image set, e.g. "T1c 128"."""
        return f"{SEQUENCE_LABELS[self.sequence]} {self.size}"


@dataclass(frozen=True)
class Reanalysis:
    """A published row with everything `evaluation.turing` computes from it.

    `p_holm` is `result.p_chance` adjusted for all rows of the table.
    """

    row: TuringTableRow
    result: TuringResult
    p_holm: float

    @property
    def group(self) -> str:
        """The row's."""
        return self.row.group

    @property
    def label(self) -> str:
        """The row's."""
        return self.row.label

    @property
    def told_apart(self) -> bool:
        """The accuracy differs from 50% at the 5% level, row by row."""
        return self.result.p_chance < ALPHA

    @property
    def told_apart_holm(self) -> bool:
        """The same with a 5% error over the whole table."""
        return self.p_holm < ALPHA


@dataclass(frozen=True)
class ModelComparison:
    """DCGAN against WGAN on one image set: does the share of right answers differ?

    `p` is Fisher's exact two-sided value, `p_holm` adjusted for all image sets. It takes the two
    sets of answers as independent, though one physician gave both.
    """

    label: str
    dcgan: TuringResult
    wgan: TuringResult
    p: float
    p_holm: float


def contradiction(problem: str, row: str) -> PathoganError:
    """The error for a published row whose own numbers cannot all be right."""
    return PathoganError(
        problem, where=f"published {row}", remedy="compare the row with its reference"
    )


def load_rows(
    kind: type[Row], table: str, key: Sequence[str], path: str | Path | None = None
) -> list[Row]:
    """A published table, rows in printed order.

    Args:
        kind: dataclass of a row; its fields (int, float or str) are the columns.
        table: name of the file in `published/`, without its extension.
        key: columns that together name a row.
        path: a CSV of the same columns to read in place of the packaged one.

    Raises:
        PathoganError: a missing column, a cell that is no number, contradicting numbers, or two
            rows of one key.
    """
    packaged = resources.files("pathogan_core.experiments") / f"published/{table}.csv"
    casts = {field.name: str(field.type) for field in fields(kind)}  # type: ignore[arg-type]
    with resources.as_file(packaged) as default:
        source = Path(path or default)
        rows = [
            kind(**_typed(casts, cells, place, source))
            for place, cells in read_rows(source, list(casts))
        ]
    names = [" ".join(str(getattr(row, column)) for column in key) for row in rows]
    for name in names:
        if names.count(name) > 1:
            raise PathoganError(f"{name} is given twice", where=source, remedy="remove one row")
    return rows


def _typed(casts: dict[str, str], cells: dict[str, str], place: str, path: Path) -> dict[str, Any]:
    types = {"int": int, "float": float, "str": str}
    values = {}
    for name, kind in casts.items():
        try:
            values[name] = types[kind](cells[name])
        except ValueError as error:
            raise PathoganError(
                f"{place}: {name} is {cells[name]!r}, not a number",
                where=path,
                remedy="compare the row with its reference",
            ) from error
    return values


def load_visual_turing(path: str | Path | None = None) -> list[VisualTuringRow]:
    """Thesis Table 1, or a CSV of the same columns at `path`; see `load_rows`."""
    key = ("model", "sequence", "size")
    return load_rows(VisualTuringRow, "table1_visual_turing", key, path)


def turing_reanalysis(rows: Sequence[TuringTableRow] | None = None) -> list[Reanalysis]:
    """Intervals, tests, d' and criterion for each published row (thesis Table 1 by default)."""
    rows = load_visual_turing() if rows is None else rows
    results = [judge(row.confusion) for row in rows]
    adjusted = holm([result.p_chance for result in results])
    return [Reanalysis(*item) for item in zip(rows, results, adjusted, strict=True)]


def compare_models(reanalysis: Sequence[Reanalysis] | None = None) -> list[ModelComparison]:
    """Tests, image set by image set, the claim that WGAN deceived the physician more than DCGAN."""
    reanalysis = turing_reanalysis() if reanalysis is None else reanalysis
    by_set: dict[str, dict[str, Reanalysis]] = {}
    for item in reanalysis:
        by_set.setdefault(item.label, {})[item.group] = item
    pairs = [(label, p["DCGAN"], p["WGAN"]) for label, p in by_set.items() if len(p) == 2]
    p_values = [same_share(_right(dcgan), _right(wgan)) for _, dcgan, wgan in pairs]
    return [
        ModelComparison(label, dcgan.result, wgan.result, p, p_holm)
        for (label, dcgan, wgan), p, p_holm in zip(pairs, p_values, holm(p_values), strict=True)
    ]


def _right(item: Reanalysis) -> tuple[int, int]:
    return item.row.confusion.correct, item.row.confusion.n


def same_share(a: tuple[int, int], b: tuple[int, int]) -> float:
    """Fisher's exact two-sided p value that two independent shares (count, of n) are equal."""
    table = [[count, n - count] for count, n in (a, b)]
    return float(min(stats.fisher_exact(table).pvalue, 1.0))
