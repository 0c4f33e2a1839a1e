"""Visual Turing Test: what a reader's answers say about telling real from synthetic images.

A reader sees real and synthetic images in random order and calls each one "real" or "synthetic"
(thesis sections 3.2.3 and 4.2), and in section 4.2.5 "tumour" or "non-tumour" too. This file turns
the answers into rates, exact intervals and signal-detection measures; `turing_session` makes the
images and the blinded key.

Sign convention: the signal is "real", the false alarm is a synthetic image called real. So
d' > 0 means told apart, and criterion c > 0 means reluctant to say "real", that is a bias to answer
"synthetic". WGAN T1 of thesis Table 1 (40% of real called real, 12% of synthetic called real) has
d' = 0.92 and c = +0.71.

Differs: the thesis prints percentages only; intervals, tests, d' and c are this project's addition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from scipy import stats

from pathogan_core.errors import PathoganError

REAL, SYNTHETIC = "real", "synthetic"
TRUTHS = (REAL, SYNTHETIC)
POOLED = "all"
TUMOUR = "tumour"
"""The class that sensitivity is about where no other is named."""
ALPHA = 0.05
POWER = 0.8


@dataclass(frozen=True)
class Answer:
    """One image judged by one reader; the class pair is present when a pathology was asked too."""

    reader: str
    truth: str
    answer: str
    class_truth: str | None = None
    class_answer: str | None = None


@dataclass(frozen=True)
class Confusion:
    """Counts of answers by truth: `real_as_synthetic` real images were called synthetic."""

    real_as_real: int
    real_as_synthetic: int
    synthetic_as_real: int
    synthetic_as_synthetic: int

    def __post_init__(self) -> None:
        if min(self.counts) < 0 or sum(self.counts) == 0:
            raise PathoganError(
                f"answer counts {self.counts} must not be negative nor all zero",
                remedy="give at least one answer",
            )

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """The four counts in the order of the fields."""
        return (
            self.real_as_real,
            self.real_as_synthetic,
            self.synthetic_as_real,
            self.synthetic_as_synthetic,
        )

    @property
    def n_real(self) -> int:
        """Real images judged."""
        return self.real_as_real + self.real_as_synthetic

    @property
    def n_synthetic(self) -> int:
        """Synthetic images judged."""
        return self.synthetic_as_real + self.synthetic_as_synthetic

    @property
    def n(self) -> int:
        """All images judged."""
        return self.n_real + self.n_synthetic

    @property
    def correct(self) -> int:
        """Images called what they are."""
        return self.real_as_real + self.synthetic_as_synthetic


@dataclass(frozen=True)
class ExactRate:
    """A fraction of `n` images in [0, 1], with its exact (Clopper-Pearson) 95% interval."""

    value: float
    n: int
    interval: tuple[float, float]


@dataclass(frozen=True)
class ClassMeasures:
    """How well the reader named the pathology class.

    Attributes:
        n: images whose class was named.
        accuracy, interval: fraction named right, with its exact 95% interval.
        rates: fractions of each true class that were called by each name.
        sensitivity: fraction of the positive class called so; None if no class counts as positive
            or none of its images was shown.
        specificity: fraction of the other images not called positive; None likewise.
    """

    n: int
    accuracy: float
    interval: tuple[float, float]
    rates: dict[str, dict[str, float]]
    sensitivity: ExactRate | None = None
    specificity: ExactRate | None = None


@dataclass(frozen=True)
class ClassResult(ClassMeasures):
    """The pathology question over all images, and over real and synthetic ones (`by_truth`)."""

    by_truth: dict[str, ClassMeasures] = field(default_factory=dict)


@dataclass(frozen=True)
class TuringResult:
    """What one reader's answers, or all of them pooled, say.

    Attributes:
        n_real, n_synthetic: images of each truth that were judged.
        accuracy: fraction of all answers that are right, in [0, 1].
        interval: exact (Clopper-Pearson) 95% interval of `accuracy`.
        p_chance: exact two-sided binomial p value of `accuracy` against 0.5.
        balanced_accuracy: mean of the two rates below that are right; unlike `accuracy` it is 0.5
            for a guesser even when the truths are unbalanced.
        real_as_real .. synthetic_as_synthetic: fractions of that truth; None if it was not shown.
        says_synthetic: fraction of all answers that are "synthetic".
        p_independent: Fisher's exact two-sided p value that answers do not depend on the truth;
            unlike `p_chance` it holds for biased readers and unbalanced truths.
        d_prime, criterion: equal-variance signal detection (module docstring gives the signs).
        corrected: a rate was 0 or 1, so both rates behind d' were corrected log-linearly.
        unbalanced: the truths were not shown equally often.
        significant_from: smallest accuracy with `p_chance` < 0.05 at this n; None if there is none.
        detectable: true accuracy that this n finds with 80% power; None if there is none.
        equivalence_margin: smallest m such that two one-sided 5% tests place the true accuracy
            within 0.5 - m .. 0.5 + m: the most that "cannot be told apart" can claim here.
        classes: the pathology question, if it was asked.
        notes: caveats in words.
    """

    n_real: int
    n_synthetic: int
    accuracy: float
    interval: tuple[float, float]
    p_chance: float
    balanced_accuracy: float | None
    real_as_real: float | None
    real_as_synthetic: float | None
    synthetic_as_real: float | None
    synthetic_as_synthetic: float | None
    says_synthetic: float
    p_independent: float | None
    d_prime: float | None
    criterion: float | None
    corrected: bool
    unbalanced: bool
    significant_from: float | None
    detectable: float | None
    equivalence_margin: float
    classes: ClassResult | None = None
    notes: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """Images judged."""
        return self.n_real + self.n_synthetic

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form; `classes` and `notes` only where there are any."""
        row = asdict(self)
        row["interval"], row["notes"] = list(self.interval), list(self.notes)
        return {k: v for k, v in row.items() if k not in ("classes", "notes") or v}


def clopper_pearson(correct: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact binomial interval of a proportion (Clopper and Pearson, 1934), never too narrow."""
    interval = stats.binomtest(correct, n).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)


def significant_from(n: int, alpha: float = ALPHA) -> float | None:
    """Smallest accuracy above one half that differs from it at level `alpha` with n answers."""
    correct = int(stats.binom.isf(alpha / 2, n, 0.5)) + 1
    return correct / n if correct <= n else None


def detectable_accuracy(n: int, alpha: float = ALPHA, power: float = POWER) -> float | None:
    """True accuracy above one half that n answers find at level `alpha` with the given power.

    Solves P(at least k right) = power, k being the count behind `significant_from`; the chance of
    a significant result on the wrong side of one half is neglected.
    """
    threshold = significant_from(n, alpha)
    if threshold is None:
        return None
    correct = round(threshold * n)
    return float(stats.beta.ppf(power, correct, n - correct + 1))


def equivalence_margin(correct: int, n: int, alpha: float = ALPHA) -> float:
    """Smallest m for which two one-sided exact tests place the accuracy in 0.5 - m .. 0.5 + m."""
    low, high = clopper_pearson(correct, n, confidence=1 - 2 * alpha)
    return max(0.5 - low, high - 0.5)


def sensitivity_and_bias(confusion: Confusion) -> tuple[float, float, bool]:
    """d', criterion c, and whether rates were corrected; both truths must have been shown.

    With hit rate H = P("real" | real) and false-alarm rate F = P("real" | synthetic),
    d' = z(H) - z(F) and c = -(z(H) + z(F)) / 2. Where a rate is 0 or 1, half an answer is added to
    every cell (log-linear rule; Hautus, Behav. Res. Methods 27, 1995, 46-51).
    """
    hits, false_alarms = confusion.real_as_real, confusion.synthetic_as_real
    n_real, n_synthetic = confusion.n_real, confusion.n_synthetic
    corrected = hits in (0, n_real) or false_alarms in (0, n_synthetic)
    added = 0.5 if corrected else 0.0
    z_hit = stats.norm.ppf((hits + added) / (n_real + 2 * added))
    z_false = stats.norm.ppf((false_alarms + added) / (n_synthetic + 2 * added))
    return float(z_hit - z_false), float(-(z_hit + z_false) / 2), corrected


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values (family-wise error), in the order given."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return [float(value) for value in adjusted]


def judge(
    confusion: Confusion, classes: ClassResult | None = None, notes: Iterable[str] = ()
) -> TuringResult:
    """Every statistic of one 2 x 2 table of answers, whether a reader's or a published one."""
    c = confusion
    both = c.n_real > 0 and c.n_synthetic > 0
    real_as_real = c.real_as_real / c.n_real if c.n_real else None
    synthetic_as_real = c.synthetic_as_real / c.n_synthetic if c.n_synthetic else None
    synthetic_as_synthetic = c.synthetic_as_synthetic / c.n_synthetic if c.n_synthetic else None
    d_prime, criterion, corrected = sensitivity_and_bias(c) if both else (None, None, False)
    notes = list(notes)
    if c.n_real != c.n_synthetic:
        notes.append(
            f"unbalanced truth: {c.n_real} real, {c.n_synthetic} synthetic; read balanced_accuracy "
            "and p_independent, not accuracy and p_chance"
        )
    if corrected:
        notes.append("a rate of 0 or 1: d_prime and criterion are corrected log-linearly")
    return TuringResult(
        n_real=c.n_real,
        n_synthetic=c.n_synthetic,
        accuracy=c.correct / c.n,
        interval=clopper_pearson(c.correct, c.n),
        p_chance=float(stats.binomtest(c.correct, c.n, 0.5).pvalue),
        balanced_accuracy=(
            (real_as_real + synthetic_as_synthetic) / 2
            if real_as_real is not None and synthetic_as_synthetic is not None
            else None
        ),
        real_as_real=real_as_real,
        real_as_synthetic=c.real_as_synthetic / c.n_real if c.n_real else None,
        synthetic_as_real=synthetic_as_real,
        synthetic_as_synthetic=synthetic_as_synthetic,
        says_synthetic=(c.real_as_synthetic + c.synthetic_as_synthetic) / c.n,
        p_independent=_fisher(c) if both else None,
        d_prime=d_prime,
        criterion=criterion,
        corrected=corrected,
        unbalanced=c.n_real != c.n_synthetic,
        significant_from=significant_from(c.n),
        detectable=detectable_accuracy(c.n),
        equivalence_margin=equivalence_margin(c.correct, c.n),
        classes=classes,
        notes=tuple(notes),
    )


def _fisher(c: Confusion) -> float:
    table = [[c.real_as_real, c.real_as_synthetic], [c.synthetic_as_real, c.synthetic_as_synthetic]]
    return float(min(stats.fisher_exact(table).pvalue, 1.0))


def count(answers: Iterable[Answer]) -> Confusion:
    """The 2 x 2 table of a set of answers."""
    cells = Counter((answer.truth, answer.answer) for answer in answers)
    return Confusion(*(cells[truth, said] for truth in TRUTHS for said in TRUTHS))


def judge_classes(answers: Iterable[Answer], positive: str | None = None) -> ClassResult | None:
    """The pathology question over those answers that carry it; None if none does.

    Args:
        answers: whose class pair may be there.
        positive: the class that sensitivity is about; without it there is no sensitivity.
    """
    asked = [answer for answer in answers if answer.class_truth is not None]
    if not asked:
        return None
    by_truth = {truth: [a for a in asked if a.truth == truth] for truth in TRUTHS}
    parts = {truth: _measure_classes(own, positive) for truth, own in by_truth.items() if own}
    return ClassResult(**vars(_measure_classes(asked, positive)), by_truth=parts)


def _measure_classes(asked: Sequence[Answer], positive: str | None) -> ClassMeasures:
    pairs = Counter((a.class_truth, a.class_answer) for a in asked)
    n = len(asked)
    correct = sum(k for (truth, said), k in pairs.items() if truth == said)
    truths = sorted({str(truth) for truth, _ in pairs})
    named = sorted({str(value) for pair in pairs for value in pair})
    rates = {}
    for truth in truths:
        shown = sum(pairs[truth, said] for said in named)
        rates[truth] = {said: pairs[truth, said] / shown for said in named}
    sensitivity = specificity = None
    if positive is not None:
        found = [a.class_answer == positive for a in asked if a.class_truth == positive]
        cleared = [a.class_answer != positive for a in asked if a.class_truth != positive]
        sensitivity, specificity = _exact_rate(found), _exact_rate(cleared)
    return ClassMeasures(
        n, correct / n, clopper_pearson(correct, n), rates, sensitivity, specificity
    )


def _exact_rate(hits: Sequence[bool]) -> ExactRate | None:
    if not hits:
        return None
    return ExactRate(sum(hits) / len(hits), len(hits), clopper_pearson(sum(hits), len(hits)))


def judge_readers(
    answers: Sequence[Answer],
    positive: str | None = None,
    classes: Collection[str] | None = None,
) -> dict[str, TuringResult]:
    """One result per reader in order of appearance, and all answers pooled under "all".

    Args:
        answers: of any number of readers.
        positive: the class that sensitivity is about; by default "tumour", if there is such a one.
        classes: all there are; by default those of the images that were answered.

    Raises:
        PathoganError: no answers, a reader called "all", or a positive class that is none.
    """
    if not answers:
        raise PathoganError("holds no answers", remedy="give one row per judged image")
    readers = list(dict.fromkeys(answer.reader for answer in answers))
    if POOLED in readers:
        raise PathoganError(
            f"a reader is called {POOLED!r}, the name of the pooled row",
            remedy="rename that reader",
        )
    if classes is None:
        classes = {a.class_truth for a in answers if a.class_truth is not None}
    positive = _positive_class(classes, positive)
    results = {}
    for reader in readers:
        own = [answer for answer in answers if answer.reader == reader]
        results[reader] = judge(count(own), judge_classes(own, positive))
    pooled_note = (
        [f"{len(readers)} readers pooled as if independent: too narrow if they saw the same images"]
        if len(readers) > 1
        else []
    )
    results[POOLED] = judge(count(answers), judge_classes(answers, positive), pooled_note)
    return results


def _positive_class(classes: Collection[str], named: str | None) -> str | None:
    if named is None:
        return TUMOUR if TUMOUR in classes else None
    if named not in classes:
        raise PathoganError(
            f"no image is of the positive class {named!r}",
            remedy=f"name one of {', '.join(sorted(classes))}" if classes else "ask for classes",
        )
    return named
