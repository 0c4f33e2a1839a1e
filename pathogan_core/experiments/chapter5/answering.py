"""What a detector finds in the test slices, with what was to be found: kept in little space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation import detection
from pathogan_core.evaluation.detection import Detections, Outcomes, Truth
from pathogan_core.experiments.store import Run
from pathogan_core.training.checkpoint import tensor_bytes

DETECTIONS = "detections.safetensors"
"""Of a finished run: what is found in every test slice, with truth and patients. Of a committed
one: in the annotated slices, which are a quarter of them."""
SLICES = ("annotated", "all")
"""Test slices: those with a rough box, as Table 4's must be, and all of them."""
TRUTHS = ("rough", "exact")
"""What is to be found: the annotators' boxes, as in the thesis, or the lesions' own."""
TICKS = 2**16 - 1
"""Parts of an image's side in which corners of found boxes are kept."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What a detector finds in test slices.

    Args:
        patients: ``[N]``, whose slice each is.
        truths: by kind, of `TRUTHS`, the boxes to be found.
        found: at every score from the configuration's threshold.
        slices: of `SLICES`, which these are.
    """

    patients: np.ndarray
    truths: Mapping[str, Truth]
    found: Detections
    slices: str = "all"

    @cached_property
    def annotated(self) -> np.ndarray:
        """The slices with a rough box, ascending ``[n]``."""
        return np.unique(self.truths["rough"].images)

    def among(self, slices: str) -> Answers:
        """In the slices of `SLICES` only; they are numbered anew, in the same order.

        Raises:
            PathoganError: all are asked for where only the annotated ones are held.
        """
        if slices == self.slices:
            return self
        if slices == "all":
            raise PathoganError(
                "holds the annotated test slices only, as committed runs do",
                where=DETECTIONS,
                remedy="train this arm here, or read its record, which has the measures of both",
            )
        chosen = self.annotated
        truths = {}
        for kind, truth in self.truths.items():
            kept, images = _renumbered(truth.images, chosen)
            truths[kind] = Truth(len(chosen), images, truth.boxes[kept])
        kept, images = _renumbered(self.found.images, chosen)
        found = Detections(images, self.found.boxes[kept], self.found.scores[kept])
        return Answers(self.patients[chosen], truths, found, slices)

    def outcomes(self, truth: str) -> Outcomes:
        """What becomes of each detection and box of a kind of truth, at both IoU thresholds."""
        return detection.match(self.truths[truth], self.found)


def packed(given: Answers, side: int) -> bytes:
    """The content of `DETECTIONS`.

    Found boxes are widened to the next 65,535th of the side, and scores are kept in half precision:
    ten bytes for each detection, which are many.

    Args:
        given: detections by image, images ascending.
        side: pixels of an image's side; found boxes lie in it.
    """
    unique, owners = np.unique(given.patients, return_inverse=True)
    found, per_pixel = given.found, TICKS / side
    corners = np.concatenate(
        [np.floor(found.boxes[:, :2] * per_pixel), np.ceil(found.boxes[:, 2:] * per_pixel)], 1
    )
    tensors = {
        "patients": _tensor(owners, np.int32),
        "found/counts": _tensor(np.bincount(found.images, minlength=len(owners)), np.int32),
        "found/boxes": _tensor(corners.clip(0, TICKS), np.uint16),
        "found/scores": _tensor(found.scores, np.float16),
    }
    for kind, truth in given.truths.items():
        tensors[f"{kind}/boxes"] = _tensor(truth.boxes, np.float64)
        tensors[f"{kind}/images"] = _tensor(truth.images, np.int32)
    header = {"patients": unique.tolist(), "side": side, "slices": given.slices}
    return tensor_bytes(tensors, header)


def answers(run: Run) -> Answers:
    """What a finished detector, live or committed, finds in the test slices.

    Raises:
        PathoganError: the file is missing or damaged, or was written by an earlier version.
    """
    tensors, header = run.load_tensors(DETECTIONS)
    held = {name: tensor.numpy() for name, tensor in tensors.items()}
    if "found/counts" not in held:
        raise PathoganError(
            "was written by an earlier version",
            where=run.folder / DETECTIONS,
            remedy="delete the run's folder; its detector is trained again when it is needed",
        )
    owners = held["patients"].astype(int)
    truths = {
        kind: Truth(len(owners), held[f"{kind}/images"].astype(np.int64), held[f"{kind}/boxes"])
        for kind in TRUTHS
    }
    images = np.repeat(np.arange(len(owners)), held["found/counts"])
    boxes = held["found/boxes"] * (header["side"] / TICKS)
    found = Detections(images, boxes, held["found/scores"].astype(float))
    return Answers(np.array(header["patients"])[owners], truths, found, header["slices"])


def _tensor(values: np.ndarray, kind: Any) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, kind))


def _renumbered(images: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which entries ``[K]`` are of the chosen images, and their places among these."""
    kept = np.isin(images, chosen)
    return kept, np.searchsorted(chosen, images[kept])
