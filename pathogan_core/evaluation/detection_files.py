"""A detector's CSV files: read, refused in one line, and judged in JSON and words.

Truth is `image,xmin,ymin,xmax,ymax`, detections the same with `,score`; a list names every image,
one to a line, and a table `image,patient` says whose it is. Further columns are ignored. Rules for
what is unusual but means something:

- an image of the list without a truth box is lesion-free: all detections in it are false positives;
- no detections at all (a header only): nothing is found, and nothing is a false positive;
- no truth at all: sensitivity is undefined (null), false positives are counted;
- any finite score will do, and equal ones are one point of the curve;
- a box need only be finite and have its corners in order: an image's size is not known here;
- equal boxes are kept, in the truth (two lesions) and among detections (the second is a false
  positive, unless another truth box is left for it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathogan_core import boxes as box_rules
from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.csv_rows import read_names, read_numbers, read_rows
from pathogan_core.evaluation.detection import (
    LEVELS,
    THRESHOLD,
    Detections,
    Froc,
    Outcomes,
    Reading,
    Truth,
    froc,
    match,
    operating_point,
)
from pathogan_core.evaluation.detection_comparison import level_name, measure
from pathogan_core.evaluation.metric import Metric
from pathogan_core.evaluation.text_table import aligned, percent

TRUTH_COLUMNS = ("image", *box_rules.COLUMNS)
DETECTION_COLUMNS = (*TRUTH_COLUMNS, "score")
PATIENT_COLUMNS = ("image", "patient")


def read_images(path: str | Path) -> list[str]:
    """Names of all images, one to a line; see `csv_rows.read_names`."""
    return read_names(path, "image")


def read_truth(path: str | Path, images: Sequence[str]) -> Truth:
    """Truth boxes of the images, from a CSV with the columns `TRUTH_COLUMNS`.

    Raises:
        PathoganError: as `csv_rows.read_rows`; a number that is none, a box that means nothing, an
            image that is not among `images`. The line names the row.
    """
    owners, numbers = _read_boxes(path, images, TRUTH_COLUMNS)
    return Truth(len(images), owners, numbers)


def read_detections(path: str | Path, images: Sequence[str]) -> Detections:
    """Detections in the images, from a CSV with the columns `DETECTION_COLUMNS`.

    Raises:
        PathoganError: as `read_truth`.
    """
    owners, numbers = _read_boxes(path, images, DETECTION_COLUMNS)
    return Detections(owners, numbers[:, :4], numbers[:, 4])


def read_patients(path: str | Path, images: Sequence[str]) -> NDArray[np.str_]:
    """Whose image each is ``[I]``, from a CSV with the columns `PATIENT_COLUMNS`.

    Rows of other images are ignored, and so are repeated ones that agree.

    Raises:
        PathoganError: as `csv_rows.read_rows`; an image without a patient, or of two; fewer than
            two patients of these images.
    """
    patients: dict[str, str] = {}
    for place, row in read_rows(path, PATIENT_COLUMNS):
        image, patient = row["image"], row["patient"]
        if not patient:
            raise PathoganError(f"{place}: patient is empty", where=path, remedy="name the patient")
        if patients.setdefault(image, patient) != patient:
            problem = f"{place}: image {image!r} is of {patient!r}, before of {patients[image]!r}"
            raise PathoganError(problem, where=path, remedy="give one patient for each image")
    missing = [image for image in images if image not in patients]
    if missing:
        problem = f"image {missing[0]!r} has no patient ({len(missing)} such images)"
        raise PathoganError(problem, where=path, remedy="add a row for every image of the list")
    owners = [patients[image] for image in images]
    if len(set(owners)) < 2:
        problem = f"all images of the list are of one patient, {owners[0]!r}"
        raise PathoganError(problem, where=path, remedy="intervals need two patients or more")
    return np.array(owners)


def _read_boxes(
    path: str | Path, images: Sequence[str], columns: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Index of each row's image ``[N]`` and its numbers ``[N, columns - 1]``."""
    owners, numbers, places = read_numbers(path, columns, images, "image")
    found = box_rules.first_problem(numbers[:, :4])
    if found is not None:
        number, problem, remedy = found
        raise PathoganError(f"{places[number]}: box {problem}", where=path, remedy=remedy)
    return owners, numbers


def evaluate(
    truth: Truth,
    detections: Detections,
    patients: NDArray | None = None,
    *,
    threshold: float = THRESHOLD,
) -> dict[str, dict[str, Any]]:
    """Everything `pathogan evaluate boxes` reports, as JSON takes it, by IoU threshold.

    Args:
        truth, detections: of the same images.
        patients: ``[I]``, whose image each is; without it there are no intervals.
        threshold: score from which detections count at the operating point.

    Returns:
        For "0.25" and "0.5": `sensitivity` and `fps_per_image` at the threshold, `counts`,
        `at_fps_per_image` (readings of the curve), `mean_sensitivity` of these, `froc` (columns
        `score`, `fps_per_image`, `sensitivity`) and, with patients, `intervals` by measure.
        Sensitivities are None where there is no truth box.

    Raises:
        PathoganError: a threshold that is not finite, or fewer than two patients.
    """
    outcomes = match(truth, detections)
    return {f"{iou:g}": _figures(outcomes, iou, patients, threshold) for iou in outcomes.taken}


def _figures(
    outcomes: Outcomes, iou: float, patients: NDArray | None, threshold: float
) -> dict[str, Any]:
    point, curve = operating_point(outcomes, iou, threshold), froc(outcomes, iou)
    figures: dict[str, Any] = {
        "sensitivity": point.sensitivity,
        "fps_per_image": point.fps_per_image,
        "threshold": threshold,
        "counts": {
            "images": point.images,
            "lesions": point.lesions,
            "detections": len(outcomes.scores),
            "hits": point.hits,
            "false_positives": point.false_positives,
        },
        "mean_sensitivity": curve.mean_sensitivity(),
        "at_fps_per_image": [_reading(curve.at(level)) for level in LEVELS],
    }
    if patients is not None:
        metrics = measure([outcomes], patients, iou=iou, threshold=threshold)
        figures["intervals"] = {name: _interval(metric) for name, metric in metrics.items()}
    return {**figures, "froc": _columns(curve)}


def _reading(reading: Reading) -> dict[str, Any]:
    return {
        "fps_per_image": reading.level,
        "sensitivity": reading.sensitivity,
        "score": reading.score,
        "beyond_curve": reading.beyond,
    }


def _interval(metric: Metric) -> list[float] | None:
    return None if metric.interval is None else list(metric.interval)


def _columns(curve: Froc) -> dict[str, list[float | None]]:
    return {
        "score": curve.scores.tolist(),
        "fps_per_image": curve.fps_per_image.tolist(),
        "sensitivity": [one if curve.lesions else None for one in curve.sensitivity.tolist()],
    }


def as_table(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """What `evaluate` returns as aligned text columns: the operating point, then the curve."""
    head = ("IoU", "sensitivity", "FPs per image", "found", "false positives")
    rows = [(iou, *_point_cells(part)) for iou, part in figures.items()]
    levels = [("FPs per image", *(f"sensitivity, IoU {iou}" for iou in figures))]
    columns = [_level_cells(part) for part in figures.values()]
    names = (*(f"{level:g}" for level in LEVELS), "mean")
    levels += zip(names, *columns, strict=True)
    return "\n".join([*aligned([head, *rows]), "", *aligned(levels)])


def explain(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """What the figures rest on and where they say nothing, in plain sentences."""
    first = next(iter(figures.values()))
    counts, threshold = first["counts"], first["threshold"]
    said = [
        f"{counts['images']:,} images, {counts['lesions']:,} truth boxes, {counts['detections']:,}"
        f" detections. The first table counts detections with a score of {threshold:g} or more, the"
        " second reads the curve of all of them.",
        "A detection takes the free truth box of highest IoU, best scores first; every other one,"
        " a second detection of the same lesion too, is a false positive (FP).",
    ]
    if not counts["lesions"]:
        said.append("There is no truth box in any image: sensitivity is undefined.")
    if not counts["detections"]:
        said.append("There are no detections: nothing is found, nothing is a false positive.")
    elif any(one["beyond_curve"] for part in figures.values() for one in part["at_fps_per_image"]):
        said.append("* the curve ends before this level: its last point is given.")
    if "intervals" in first:
        said.append("Intervals: 95%, bootstrap over patients.")
    else:
        said.append(
            "Without a table of patients there are no intervals: lesions and images of one patient"
            " are alike, and resampling them would make intervals too narrow."
        )
    return "\n".join(said)


def _point_cells(part: Mapping[str, Any]) -> tuple[str, ...]:
    counts = part["counts"]
    fps = f"{part['fps_per_image']:.2f}"
    if (interval := part.get("intervals", {}).get("fps_per_image")) is not None:
        fps += f" ({interval[0]:.2f}-{interval[1]:.2f})"
    found = f"{counts['hits']} of {counts['lesions']}"
    sensitivity = _share(part, "sensitivity", part["sensitivity"])
    return sensitivity, fps, found, str(counts["false_positives"])


def _level_cells(part: Mapping[str, Any]) -> list[str]:
    """The sensitivity at each level, and their mean."""
    cells = [
        _share(part, level_name(one["fps_per_image"]), one["sensitivity"])
        + ("*" if one["beyond_curve"] else "")
        for one in part["at_fps_per_image"]
    ]
    return [*cells, _share(part, "mean_sensitivity", part["mean_sensitivity"])]


def _share(part: Mapping[str, Any], measure: str, value: float | None) -> str:
    """A percentage, with its interval where there is one."""
    interval = part.get("intervals", {}).get(measure)
    told = f" ({100 * interval[0]:.1f}-{percent(interval[1])})" if interval else ""
    return percent(value) + told
