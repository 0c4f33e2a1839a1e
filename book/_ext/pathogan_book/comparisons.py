"""The thesis' tables, and what of this project's runs stands beside each of their cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .labels import ARMS, DETECTION_ARMS, MODELS, TRAININGS, setup_label

Row = dict[str, str]


@dataclass(frozen=True)
class Column:
    """A column of a published table, and what a record calls the same thing.

    Args:
        heading: without unit.
        metric: of the record.
        percent: printed in per cent, where records have shares.
    """

    heading: str
    metric: str
    percent: bool = True

    @property
    def heading_with_unit(self) -> str:
        """For the table's head."""
        return f"{self.heading} (%)" if self.percent else self.heading

    @property
    def scale(self) -> int:
        """What a record's value is multiplied by, to be shown beside the printed one."""
        return 100 if self.percent else 1


# A reader's answers, where a record has them.
_TURING = {
    "accuracy_percent": Column("Accuracy", "turing_accuracy"),
    "real_as_real_percent": Column("Real as real", "turing_real_as_real"),
    "synthetic_as_real_percent": Column("Synthetic as real", "turing_synthetic_as_real"),
}
_TUMOURS = {"tumour_accuracy_percent": Column("Tumour or not", "turing_class_accuracy")}
_CLASSIFICATION = {
    "accuracy_percent": Column("Accuracy", "accuracy"),
    "sensitivity_percent": Column("Sensitivity", "sensitivity"),
    "specificity_percent": Column("Specificity", "specificity"),
}
# As in the thesis: slices that the annotators marked, and their rough boxes.
_DETECTION = {
    "sensitivity_iou50_percent": Column("Sensitivity, IoU 0.5", "annotated/rough/0.5/sensitivity"),
    "fps_per_slice_iou50": Column(
        "FPs per slice, IoU 0.5", "annotated/rough/0.5/fps_per_image", percent=False
    ),
    "sensitivity_iou25_percent": Column(
        "Sensitivity, IoU 0.25", "annotated/rough/0.25/sensitivity"
    ),
    "fps_per_slice_iou25": Column(
        "FPs per slice, IoU 0.25", "annotated/rough/0.25/fps_per_image", percent=False
    ),
}


@dataclass(frozen=True)
class Comparison:
    """How a published table is set beside committed runs.

    Args:
        chapter: of the runs, e.g. ``ch3``.
        columns: those of the table that are shown.
        setup: the set-up of a row's runs.
        keys: what tells rows apart, by heading.
        about: what the printed and our numbers rest on.
    """

    chapter: str
    columns: Mapping[str, Column]
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
    "table4_detection": Comparison(
        "ch5",
        _DETECTION,
        setup=lambda row: f"arm-{row['arm']}",
        keys={"Training images": lambda row: DETECTION_ARMS[row["arm"]]},
        about=(
            "All at the thesis' detection threshold of 0.1%. The thesis trained each arm once. "
            "Here: the mean over so many seeds, in brackets the lowest and the highest of them; a "
            "single seed has its 95% interval from a bootstrap over patients. Rows have the "
            "thesis' names; ours add fewer images: see added_images on the status page."
        ),
    ),
}
