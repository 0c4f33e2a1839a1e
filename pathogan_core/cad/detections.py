"""What a detector finds: from the boxes of all its anchors to the few that are reported."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import nms


@dataclass(frozen=True, eq=False)
class Detections:
    """What is found in one image, highest score first.

    Args:
        boxes: float32 ``[n, 4]``: xmin, ymin, xmax, ymax in pixels of the image that was given.
        scores: float32 ``[n]`` in [0, 1].
    """

    boxes: np.ndarray
    scores: np.ndarray


def resized(images: Tensor, size: int) -> Tensor:
    """Images ``[N, C, S, S]`` at `size` pixels: bilinear, averaging where they shrink.

    A place at (x, y) comes to lie at (x, y) * size / S, so that boxes are multiplied by size / S.
    """
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True)


def suppressed(
    boxes: Tensor, scores: Tensor, least_score: float, most_iou: float, candidates: int
) -> Detections:
    """The boxes of one image, without those of low score and those beside a better one.

    Args:
        boxes: ``[P, 4]``; those without area are dropped.
        scores: ``[P]``.
        least_score: lower ones are dropped.
        most_iou: of two that overlap by more, the lower one is dropped; of equal ones the second.
        candidates: how many, the highest, are compared with one another.
    """
    valid = (scores >= least_score) & (boxes[:, 2:] > boxes[:, :2]).all(1)
    boxes, scores = boxes[valid], scores[valid]
    order = scores.argsort(descending=True, stable=True)[:candidates]
    kept = order[nms(boxes[order], scores[order], most_iou)]
    return Detections(boxes[kept].cpu().numpy(), scores[kept].cpu().numpy())
