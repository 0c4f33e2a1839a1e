"""Thesis Table 3 as data: did refining make synthetic images harder to spot?

One physician answered for three sets of images. The p values take the sets as independent, and the
answers within a set too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from pathogan_core.evaluation.turing import REAL, SYNTHETIC, Confusion
from pathogan_core.experiments.published import (
    Reanalysis,
    TuringTableRow,
    contradiction,
    load_rows,
    same_share,
    turing_reanalysis,
)

REFINER_LABELS = {"pggan": "PGGAN", "munit": "MUNIT", "simgan": "SimGAN"}


@dataclass(frozen=True)
class RefinedTuringRow(TuringTableRow):
    """One row of Table 3: real or synthetic, and tumour or not, asked of the same images.

    Half of the real and half of the synthetic images have a tumour. `missed_*` count tumour images
    called non-tumour, `imagined_*` others called tumour, by the truth of the image.
    """

    model: str
    size: int
    n_tumour: int
    n_non_tumour: int
    tumour_accuracy_percent: float
    tumour_as_tumour_percent: float
    tumour_as_non_tumour_percent: float
    non_tumour_as_tumour_percent: float
    non_tumour_as_non_tumour_percent: float
    missed_real: int
    missed_synthetic: int
    imagined_real: int
    imagined_synthetic: int

    def __post_init__(self) -> None:
        if self.model not in REFINER_LABELS:
            raise contradiction(f"unknown model {self.model}", f"{self.model} {self.size}")
        super().__post_init__()
        if len({self.n_real, self.n_synthetic, self.n_tumour, self.n_non_tumour}) != 1:
            raise self._contradiction("the four kinds of image are not equally many")
        tumours = self.tumour_confusion()
        parts = (self.missed_real + self.missed_synthetic,
                 self.imagined_real + self.imagined_synthetic)  # fmt: skip
        if parts != (tumours.real_as_synthetic, tumours.synthetic_as_real):
            raise self._contradiction("mistakes by truth do not add up to all mistakes")

    @property
    def group(self) -> str:
        """The test, for figures that also show others."""
        return "section 4"

    @property
    def label(self) -> str:
        """What made the synthetic images."""
        return REFINER_LABELS[self.model]

    def tumour_confusion(self, truth: str | None = None) -> Confusion:
        """Answers to "tumour or not", tumour in the place of real and non-tumour of synthetic.

        Args:
            truth: ``real`` or ``synthetic`` images only; None: both.
        """
        if truth is None:
            rates = (
                self.tumour_as_tumour_percent,
                self.tumour_as_non_tumour_percent,
                self.non_tumour_as_tumour_percent,
                self.non_tumour_as_non_tumour_percent,
            )
            sizes = (self.n_tumour, self.n_non_tumour)
            return self._counts(rates, sizes, self.tumour_accuracy_percent)
        missed = {REAL: self.missed_real, SYNTHETIC: self.missed_synthetic}[truth]
        imagined = {REAL: self.imagined_real, SYNTHETIC: self.imagined_synthetic}[truth]
        half = self.n_tumour // 2
        return Confusion(half - missed, missed, imagined, half - imagined)


@dataclass(frozen=True)
class Refinement:
    """What the same physician said of PGGAN's images and of refined ones.

    Attributes:
        p_passed: synthetic images called real, equally many? Fisher's exact two-sided value.
        p_trusted: the same for real images called real.
        p_told_apart: are real and synthetic equally well told apart? `same_odds_ratio`.
    """

    before: Reanalysis
    after: Reanalysis
    p_passed: float
    p_trusted: float
    p_told_apart: float


def load_refined_turing(path: str | Path | None = None) -> list[RefinedTuringRow]:
    """Thesis Table 3, or a CSV of the same columns at `path`; see `published.load_rows`."""
    return load_rows(RefinedTuringRow, "table3_visual_turing", ("model",), path)


def refinements(rows: Sequence[RefinedTuringRow] | None = None) -> list[Refinement]:
    """Each refiner's row of Table 3 against the first row, PGGAN's own images."""
    before, *refined = turing_reanalysis(load_refined_turing() if rows is None else rows)
    old = before.row.confusion
    results = []
    for after in refined:
        new = after.row.confusion
        passed = [(c.synthetic_as_real, c.n_synthetic) for c in (old, new)]
        trusted = [(c.real_as_real, c.n_real) for c in (old, new)]
        p_values = same_share(*passed), same_share(*trusted), same_odds_ratio(old, new)
        results.append(Refinement(before, after, *p_values))
    return results


def same_odds_ratio(a: Confusion, b: Confusion) -> float:
    """Zelen's exact two-sided p value that two tables of answers have the same odds ratio.

    The odds ratio is to logistic signal detection what d' is to normal: how well the truths are
    told apart, whichever way the reader leans. With all margins of both tables and the sum of their
    first cells held fixed, the split of that sum has a law that does not depend on the common
    odds ratio; splits no more likely than the observed one are added up. Of the exact tests of this
    question that Reis, Hirji and Afifi (Stat. Med. 18, 1999, 893-906) compared, one they recommend.
    """
    total = a.real_as_real + b.real_as_real
    splits = np.arange(total + 1)
    weights = _log_ways(a, splits) + _log_ways(b, total - splits)
    likelihood = np.exp(weights - weights.max())
    observed = likelihood[a.real_as_real]
    return float(likelihood[likelihood <= observed * (1 + 1e-9)].sum() / likelihood.sum())


def _log_ways(table: Confusion, first_cell: np.ndarray) -> np.ndarray:
    """Log of the number of tables with these margins, up to a constant; -inf where none is."""
    said_real = table.real_as_real + table.synthetic_as_real
    return stats.hypergeom.logpmf(first_cell, table.n, table.n_real, said_real)
