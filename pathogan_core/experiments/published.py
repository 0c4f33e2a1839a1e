"""Tables the thesis printed, as data, and what its Visual Turing Test says when computed again.

The tables are CSV files in `published/` beside this file; each row names where it was printed. The
reference gives section and table: page numbers differ between copies of the thesis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path

from scipy import stats

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.turing import ALPHA, Confusion, TuringResult, holm, judge
from pathogan_core.evaluation.turing_answers import read_rows

MODEL_LABELS = {"dcgan": "DCGAN", "wgan": "WGAN"}
SEQUENCE_LABELS = {"t1": "T1", "t1c": "T1c", "t2": "T2", "flair": "FLAIR", "concat": "Concat"}


@dataclass(frozen=True)
class VisualTuringRow:
    """One row of thesis Table 1: a physician's answers to real and synthetic images of one set-up.

    Percentages are of the images of that truth, `accuracy_percent` of all; `size` is the images'
    side in pixels. A row whose numbers contradict each other raises `PathoganError`.
    """

    model: str
    sequence: str
    size: int
    n_real: int
    n_synthetic: int
    accuracy_percent: float
    real_as_real_percent: float
    real_as_synthetic_percent: float
    synthetic_as_real_percent: float
    synthetic_as_synthetic_percent: float
    reference: str

    def __post_init__(self) -> None:
        if self.model not in MODEL_LABELS or self.sequence not in SEQUENCE_LABELS:
            raise self._contradiction(f"unknown set-up {self.model}, {self.sequence}")
        real = self.real_as_real_percent + self.real_as_synthetic_percent
        synthetic = self.synthetic_as_real_percent + self.synthetic_as_synthetic_percent
        if real != 100 or synthetic != 100:
            raise self._contradiction("the rates of a truth do not add up to 100%")
        confusion = self.confusion
        if abs(100 * confusion.correct / confusion.n - self.accuracy_percent) > 0.05:
            raise self._contradiction("the accuracy does not follow from the rates")

    def _contradiction(self, problem: str) -> PathoganError:
        where = f"published {self.model} {self.sequence} {self.size}"
        return PathoganError(problem, where=where, remedy="compare the row with its reference")

    def _count(self, percent: float, n: int) -> int:
        count = percent * n / 100
        if abs(count - round(count)) > 1e-6:
            raise self._contradiction(f"{percent}% of {n} images is no whole number of images")
        return round(count)

    @property
    def confusion(self) -> Confusion:
        """The percentages as counts of images."""
        return Confusion(
            self._count(self.real_as_real_percent, self.n_real),
            self._count(self.real_as_synthetic_percent, self.n_real),
            self._count(self.synthetic_as_real_percent, self.n_synthetic),
            self._count(self.synthetic_as_synthetic_percent, self.n_synthetic),
        )


@dataclass(frozen=True)
class Reanalysis:
    """A published row with everything `evaluation.turing` computes from it.

    `p_holm` is `result.p_chance` adjusted for all rows of the table. `group` and `label` are what
    figures print.
    """

    row: VisualTuringRow
    result: TuringResult
    p_holm: float

    @property
    def group(self) -> str:
        """The model, e.g. "WGAN"."""
        return MODEL_LABELS[self.row.model]

    @property
    def label(self) -> str:
        """The image set, e.g. "T1c 128"."""
        return f"{SEQUENCE_LABELS[self.row.sequence]} {self.row.size}"

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


def load_visual_turing(path: str | Path | None = None) -> list[VisualTuringRow]:
    """Thesis Table 1 (or a CSV of the same columns at `path`), rows in printed order.

    Raises:
        PathoganError: a missing column, a cell that is no number, contradicting numbers, or a
            set-up given twice.
    """
    packaged = resources.files("pathogan_core.experiments") / "published/table1_visual_turing.csv"
    with resources.as_file(packaged) as default:
        source = Path(path or default)
        rows = [
            VisualTuringRow(**_typed(cells, place, source))
            for place, cells in read_rows(source, [field.name for field in fields(VisualTuringRow)])
        ]
    setups = [(row.model, row.sequence, row.size) for row in rows]
    for setup in setups:
        if setups.count(setup) > 1:
            name = " ".join(map(str, setup))
            raise PathoganError(f"{name} is given twice", where=source, remedy="remove one row")
    return rows


def _typed(cells: dict[str, str], place: str, path: Path) -> dict:
    casts = {"int": int, "float": float, "str": str}
    values = {}
    for field in fields(VisualTuringRow):
        try:
            values[field.name] = casts[str(field.type)](cells[field.name])
        except ValueError as error:
            raise PathoganError(
                f"{place}: {field.name} is {cells[field.name]!r}, not a number",
                where=path,
                remedy="compare the row with its reference",
            ) from error
    return values


def turing_reanalysis(rows: Sequence[VisualTuringRow] | None = None) -> list[Reanalysis]:
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
        by_set.setdefault(item.label, {})[item.row.model] = item
    pairs = [(label, p["dcgan"], p["wgan"]) for label, p in by_set.items() if len(p) == 2]
    p_values = [_same_accuracy(dcgan.row.confusion, wgan.row.confusion) for _, dcgan, wgan in pairs]
    return [
        ModelComparison(label, dcgan.result, wgan.result, p, p_holm)
        for (label, dcgan, wgan), p, p_holm in zip(pairs, p_values, holm(p_values), strict=True)
    ]


def _same_accuracy(a: Confusion, b: Confusion) -> float:
    table = [[a.correct, a.n - a.correct], [b.correct, b.n - b.correct]]
    return float(min(stats.fisher_exact(table).pvalue, 1.0))
