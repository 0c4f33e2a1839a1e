"""What the chapter's page shows of finished runs, live or committed."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from PIL import Image

from pathogan_core.cohorts.slices import resize_area
from pathogan_core.experiments.chapter5 import placing
from pathogan_core.experiments.store import Run
from pathogan_core.files import read_json
from pathogan_core.gans.cpggan_networks import seen_at
from pathogan_core.gans.growth import Stage
from pathogan_core.training.batches import to_uint8

SAMPLES, BOXES, SWEEP = "samples.png", "boxes.json", "sweep.png"
"""Of a committed CPGGAN: images, the boxes that each was asked for, and one box moved about."""
LESION_SIDE = 32
"""Pixels of a lesion panel, as in the thesis' figures 12 and 14."""


def packed_boxes(boxes: Sequence[np.ndarray]) -> bytes:
    """The content of `BOXES`: ``[n, 4]`` in pixels for each image, as JSON."""
    return json.dumps([np.round(some, 3).tolist() for some in boxes]).encode()


def committed_boxes(run: Run) -> list[np.ndarray]:
    """The boxes of each image of `SAMPLES`, ``[n, 4]`` in pixels.

    Raises:
        PathoganError: the file is missing or damaged.
    """
    return [np.reshape(some, (-1, 4)) for some in read_json(run.folder / BOXES)]


def condition_at(run: Run, boxes: Sequence[np.ndarray], stage: Stage) -> np.ndarray:
    """Boxes as a CPGGAN's critic is shown them at a stage, uint8 ``[N, R, R]``."""
    condition = placing.condition_of(placing.cpggan_config_of(run), boxes)
    return to_uint8(seen_at(condition, stage))[:, 0].numpy()


def lesion_panels(
    images: np.ndarray, boxes: Sequence[np.ndarray], side: int = LESION_SIDE
) -> np.ndarray:
    """Every box's content at one size, uint8 ``[B, side, side]``, in the order of the boxes.

    Boxes are widened to whole pixels and squares, then resized: what is in the thesis' figures.
    """
    panels = [
        _panel(image, box, side)
        for image, some in zip(images, boxes, strict=True)
        for box in np.reshape(some, (-1, 4))
    ]
    return np.stack(panels) if panels else np.empty((0, side, side), np.uint8)


def _panel(image: np.ndarray, box: np.ndarray, side: int) -> np.ndarray:
    size = image.shape[0]
    length = int(min(size, max(2, np.ceil(max(box[2] - box[0], box[3] - box[1])))))
    corner = np.round((box[:2] + box[2:] - length) / 2)
    x, y = np.clip(corner, 0, size - length).astype(int)
    part = image[y : y + length, x : x + length]
    if length >= side:
        return np.rint(resize_area(part[None], side)[0]).astype(np.uint8)
    enlarged = Image.fromarray(part).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(enlarged)
