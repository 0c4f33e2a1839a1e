"""The thesis' tables, and what of this project's runs stands beside each of their cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .labels import ARMS, MODELS, TRAININGS, setup_label

Row = dict[str, str]

# A reader's answers, where a record has them.
_TURING = {
    "accuracy_percent": ("Accuracy", "turing_accuracy"),
    "real_as_real_percent": ("Real as real", "turing_real_as_real"),
    "synthetic_as_real_percent": ("Synthetic as real", "turing_synthetic_as_real"),
}
_TUMOURS = {"tumour_accuracy_percent": ("Tumour or not", "turing_class_accuracy")}
_CLASSIFICATION = {
    "accuracy_percent": ("Accuracy", "accuracy"),
    "sensitivity_percent": ("Sensitivity", "sensitivity"),
    "specificity_percent": ("Specificity", "specificity"),
}


@dataclass(frozen=True)
class Comparison:
    """How a published table is set beside committed runs.

    Args:
        chapter: of the runs, e.g. ``ch3``.
        columns: those of the table that are shown, each with its heading and the record's metric.
        setup: the set-up of a row's runs.
        keys: what tells rows apart, by heading.
        about: what the printed and our numbers rest on.
    """

    chapter: str
    columns: Mapping[str, tuple[str, str]]
    setup: Callable[[Row], str]
    keys: Mapping[str, Callable[[Row], str]]
    about: str


COMPARISONS = {
    "table1_visual_turing": Comparison(
        "ch3",
        _TURING,
        setup=lambda row: f"{row['model']}-{row['sequence']}-{row['size']}",
        keys={"Set-up": lambda row: setup_label(f"{row['model']}-{row['sequence']}-{row['size']}")},
        about=(
            "One physician, 50 real and 50 synthetic images a row. Here: the same test on images "
            "of the row's run, where a reader has taken it."
        ),
    ),
    "table2_classification": Comparison(
        "ch4",
        _CLASSIFICATION,
        setup=lambda row: f"arm-{row['arm']}-{row['training']}",
        keys={
            "Training images": lambda row: ARMS[row["arm"]],
            "Weights": lambda row: TRAININGS[row["training"]],
        },
        about=(
            "The thesis trained each arm once. Here: the mean over so many seeds, in brackets the "
            "lowest and the highest of them; a single seed has its 95% interval from a bootstrap "
            "over patients. An arm is compared with another on the chapter's page, image by image; "
            "two numbers of this table are no test."
        ),
    ),
    "table3_visual_turing": Comparison(
        "ch4",
        {**_TURING, **_TUMOURS},
        setup=lambda row: f"turing-{row['model']}",
        keys={"Synthetic images": lambda row: MODELS[row["model"]]},
        about=(
            "One physician, 100 real and 100 synthetic images a row, half of each with a tumour. "
            "Here: the same test, where a reader has taken it."
        ),
    ),
}
