"""What `pathogan generate` writes beside images that were asked for with boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathogan_core.boxes import COLUMNS
from pathogan_core.files import atomic_write, write_json

if TYPE_CHECKING:
    import numpy as np

CSV, COCO, CARD = "boxes.csv", "boxes.coco.json", "model_card.md"
CATEGORY = "metastasis"


def write_boxes(folder: Path, names: Sequence[str], boxes: Sequence[np.ndarray], size: int) -> None:
    """`CSV` (``image,xmin,ymin,xmax,ymax``, as `pathogan evaluate boxes` reads it) and `COCO`.

    Args:
        names: of the image files.
        boxes: of each, ``[k, 4]`` in pixels.
        size: pixels along an image's side.
    """
    with atomic_write(folder / CSV, "w") as handle:
        handle.write(",".join(("image", *COLUMNS)) + "\n")
        for name, some in zip(names, boxes, strict=True):
            for box in some:
                handle.write(",".join([name, *(f"{corner:.3f}" for corner in box)]) + "\n")
    write_json(folder / COCO, coco(names, boxes, size))


def coco(names: Sequence[str], boxes: Sequence[np.ndarray], size: int) -> dict[str, Any]:
    """The same in the format of the COCO data set: boxes are x, y, width, height."""
    annotations: list[dict[str, Any]] = []
    for image, some in enumerate(boxes, start=1):
        for xmin, ymin, xmax, ymax in (map(float, box) for box in some):
            width, height = xmax - xmin, ymax - ymin
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": 1,
                    "bbox": [round(number, 3) for number in (xmin, ymin, width, height)],
                    "area": round(width * height, 3),
                    "iscrowd": 0,
                }
            )
    images = [
        {"id": number, "file_name": name, "width": size, "height": size}
        for number, name in enumerate(names, start=1)
    ]
    categories = [{"id": 1, "name": CATEGORY}]
    return {"images": images, "annotations": annotations, "categories": categories}


def write_card(folder: Path, told: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
    """`CARD`: what drew these images, what it learnt from, what is known of it, and what is not.

    Args:
        told: the content of `generated.json`.
        metrics: of the run's record.
    """
    run = told["run"]
    inputs = [
        f"- {name}: {given.get('images', '?')} images of {given.get('patients', '?')} "
        f"{given['source']} subjects ({given['cohort']})"
        for name, given in run["inputs"].items()
    ]
    measured = [f"- {name}: {_in_words(metric)}" for name, metric in metrics.items()]
    with atomic_write(folder / CARD, "w") as handle:
        handle.write(
            "\n".join(
                [
                    f"# {run['setup']}: {run['method']} of thesis section 5",
                    "",
                    f"{told['count']} images of run {run['run']}, {run['scale']} scale, seed "
                    f"{told['seed']}; weights {told['weights_sha256'][:16]}, code "
                    f"{told['code_version']}.",
                    "",
                    "## Learnt from",
                    "",
                    *inputs,
                    "",
                    "## Measured",
                    "",
                    "Brightness of a requested box minus that of its surroundings; "
                    "`contrast_not_asked` is the same where nothing was asked for.",
                    "",
                    *(measured or ["- not measured"]),
                    "",
                    "## Limits",
                    "",
                    "- The images show nobody. They are not for diagnosis, nor for training "
                    "anything that is used on patients.",
                    "- A box says where a lesion was asked for, not that there is one.",
                    "- The generator knows the scanners, sizes and sites of what it learnt from, "
                    "and no others.",
                    "",
                    "## Licence",
                    "",
                    "Code and weights: MIT, as the project. Of weights learnt from real images the "
                    "terms of these images hold too.",
                    "",
                ]
            )
        )


def _in_words(metric: Mapping[str, Any]) -> str:
    told = f"{metric['value']:+.1f} {metric['unit']}"
    if metric["interval"] is None:
        return told
    low, high = metric["interval"]
    return f"{told} ({low:+.1f}, {high:+.1f})"
