"""Visual Turing Test answers on disk, and what their statistics mean in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.csv_rows import read_rows
from pathogan_core.evaluation.text_table import aligned, percent
from pathogan_core.evaluation.turing import (
    ALPHA,
    POOLED,
    TRUTHS,
    Answer,
    ClassMeasures,
    ClassResult,
    ExactRate,
    TuringResult,
)

ANSWER_COLUMNS = ("reader", "truth", "answer")
CLASS_COLUMNS = ("class_truth", "class_answer")


def checked_truth(value: str, column: str, place: str, path: str | Path) -> str:
    """`value` as "real" or "synthetic" (any case), else an error that names the row."""
    if value.lower() not in TRUTHS:
        raise PathoganError(
            f"{place}: {column} is {value!r}",
            where=path,
            remedy="write 'real' or 'synthetic'",
        )
    return value.lower()


def checked_class(value: str, names: Sequence[str], place: str, path: str | Path) -> str:
    """`value` as one of the class names (any case), else an error that names the row."""
    if value.lower() not in names:
        raise PathoganError(
            f"{place}: class_answer is {value!r}",
            where=path,
            remedy=f"write {' or '.join(map(repr, names))}",
        )
    return value.lower()


def read_answers(path: str | Path) -> list[Answer]:
    """Answers from a CSV with the columns `reader,truth,answer` and perhaps the class pair.

    `class_truth` and `class_answer` come together or not at all, in the file and in each row.

    Raises:
        PathoganError: as `read_rows`, and for an unknown value, a nameless reader, half a class
            pair, or a class answer that is no true class; the line names the row.
    """
    answers, places = [], []
    for place, row in read_rows(path, ANSWER_COLUMNS, CLASS_COLUMNS):
        if not row["reader"]:
            raise PathoganError(
                f"{place}: reader is empty", where=path, remedy="name the reader, e.g. reader1"
            )
        truth = checked_truth(row["truth"], "truth", place, path)
        said = checked_truth(row["answer"], "answer", place, path)
        pair = [row.get(name, "").lower() or None for name in CLASS_COLUMNS]
        if (pair[0] is None) != (pair[1] is None):
            raise PathoganError(
                f"{place}: class_truth and class_answer must both be given or both be empty",
                where=path,
                remedy="fill in or empty both cells",
            )
        answers.append(Answer(row["reader"], truth, said, *pair))
        places.append(place)
    _check_class_answers(answers, places, path)
    return answers


def _check_class_answers(
    answers: Sequence[Answer], places: Sequence[str], path: str | Path
) -> None:
    """With two true classes or more, an answer outside them is a slip of the pen."""
    classes = sorted({a.class_truth for a in answers if a.class_truth is not None})
    for answer, place in zip(answers, places, strict=True):
        if len(classes) > 1 and answer.class_answer not in (None, *classes):
            raise PathoganError(
                f"{place}: class_answer {answer.class_answer!r} is no class_truth of this file",
                where=path,
                remedy=f"use one of {', '.join(classes)}",
            )


def as_table(results: Mapping[str, TuringResult]) -> str:
    """The results as aligned text columns: percentages, p values, d' and criterion.

    Below, if a class was asked for, how well it was named in real, synthetic and all images.
    """
    head = ("reader", "n", "accuracy", "95% interval", "p(50%)", "R as R", "S as S", "d'", "c")
    lines = aligned([head, *(_cells(name, result) for name, result in results.items())])
    classes = [row for name, result in results.items() for row in _class_rows(name, result)]
    if classes:
        measures = (f"{name} (95%)" for name in ("accuracy", "sensitivity", "specificity"))
        lines += ["", *aligned([("class by", "images", "n", *measures), *classes])]
    notes = [f"{name}: {note}" for name, result in results.items() for note in result.notes]
    return "\n".join([*lines, *notes])


def _cells(name: str, r: TuringResult) -> tuple[str, ...]:
    low, high = r.interval
    return (
        name,
        str(r.n),
        percent(r.accuracy),
        f"{100 * low:.1f}-{percent(high)}",
        p_text(r.p_chance),
        percent(r.real_as_real),
        percent(r.synthetic_as_synthetic),
        "-" if r.d_prime is None else f"{r.d_prime:.2f}" + ("*" if r.corrected else ""),
        "-" if r.criterion is None else f"{r.criterion:+.2f}",
    )


def _class_rows(name: str, result: TuringResult) -> list[tuple[str, ...]]:
    """A row for the images of each truth that was shown, and one for all."""
    if result.classes is None:
        return []
    parts = {**result.classes.by_truth, "both": result.classes}
    return [(name, images, *_class_cells(measures)) for images, measures in parts.items()]


def _class_cells(m: ClassMeasures) -> tuple[str, ...]:
    rates = (ExactRate(m.accuracy, m.n, m.interval), m.sensitivity, m.specificity)
    return (str(m.n), *map(_rate, rates))


def _rate(rate: ExactRate | None) -> str:
    if rate is None:
        return "-"
    low, high = rate.interval
    return f"{percent(rate.value)} ({100 * low:.1f}-{percent(high)})"


def p_text(p: float) -> str:
    """A p value for people."""
    return "<0.0001" if p < 0.0001 else f"{p:.4f}" if p < 0.01 else f"{p:.3f}"


def explain(results: Mapping[str, TuringResult]) -> str:
    """What the pooled answers show and do not show, in plain sentences."""
    r = results[POOLED]
    low, high = r.interval
    shown = [
        f"What this shows. {percent(r.accuracy)} of {r.n} answers are right (95% interval "
        f"{percent(low)} to {percent(high)}); chance is 50%.",
        _verdict(r),
        f"{percent(r.says_synthetic)} of the answers are 'synthetic'" + _bias(r) + ".",
    ]
    limits = [
        "What it does not show. Not significantly different from 50% is not indistinguishable:"
        f" {_sensitivity_of_test(r)}, and the most these answers can claim is that the true"
        f" accuracy lies within {100 * r.equivalence_margin:.1f} points of 50% (two one-sided 5%"
        " tests).",
        "Intervals and p values take every answer as independent: where several images are of one"
        " patient, they are too narrow and too small.",
        "It speaks of these readers, these images and this display only: not of other readers, not"
        " of how varied the images are, whether they copy training images, or whether they help to"
        " train a model.",
    ]
    second = [] if r.classes is None else [_second_question(r.classes)]
    return "\n".join([" ".join(shown), *second, " ".join(limits)])


def _second_question(classes: ClassResult) -> str:
    low, high = classes.interval
    parts = [f"{percent(part.accuracy)} in {truth}" for truth, part in classes.by_truth.items()]
    return (
        f"The second question. {percent(classes.accuracy)} of {classes.n} images were put in the"
        f" right class (95% interval {percent(low)} to {percent(high)}): {' and '.join(parts)}"
        " images. A class that is easily named has clear signs; whether these are true to life it"
        " does not say."
    )


def _verdict(r: TuringResult) -> str:
    if r.unbalanced and r.p_independent is not None:
        test, p = "Fisher's exact test", r.p_independent
    else:
        test, p = "exact binomial test", r.p_chance
    told = f"({test}, p {p_text(p) if p < 0.0001 else '= ' + p_text(p)})"
    if p >= ALPHA:
        return f"No difference from guessing was found {told}."
    if (r.accuracy if r.balanced_accuracy is None else r.balanced_accuracy) < 0.5:
        return f"Answers are wrong more often than guesses {told}: that takes seeing a difference."
    return f"Real and synthetic images were told apart better than by guessing {told}."


def _bias(r: TuringResult) -> str:
    if r.d_prime is None or r.criterion is None:
        return ""
    leaning = "synthetic" if r.criterion > 0 else "real"
    return f"; d' {r.d_prime:.2f}, criterion {r.criterion:+.2f} (leaning to '{leaning}')"


def _sensitivity_of_test(r: TuringResult) -> str:
    if r.significant_from is None or r.detectable is None:
        return f"with {r.n} answers not even a faultless reader reaches p < {ALPHA}"
    return (
        f"with {r.n} answers p < {ALPHA} needs an accuracy of {percent(r.significant_from)}, and a"
        f" true accuracy below {percent(r.detectable)} is missed more than one time in five"
    )
