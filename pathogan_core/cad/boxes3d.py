"""Boxes in a volume, as tensors: overlap, suppression, and what a network predicts of them.

Boxes are ``[N, 6]`` with the columns zmin, ymin, xmin, zmax, ymax, xmax in voxels, in continuous
coordinates: voxel i covers [i, i + 1) of its axis, and a box's depth is zmax - zmin, as in
`pathogan_core.boxes` for two dimensions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

MOST_GROWTH = math.log(1000 / 16)
"""Largest logarithm of a size that is decoded, as in Faster R-CNN's public code: exp of an
untrained network's answer would overflow."""


def volumes(boxes: Tensor) -> Tensor:
    """Cubic voxels ``[N]``; 0 where corners are swapped."""
    return (boxes[..., 3:] - boxes[..., :3]).clamp(min=0).prod(-1)


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union ``[A, B]`` of every box of `a` with every one of `b`.

    Boxes that only touch have 0, and so has a box without volume with any other.
    """
    low = torch.maximum(a[:, None, :3], b[None, :, :3])
    high = torch.minimum(a[:, None, 3:], b[None, :, 3:])
    shared = (high - low).clamp(min=0).prod(-1)
    union = volumes(a)[:, None] + volumes(b)[None, :] - shared
    return torch.where(shared > 0, shared / union, 0.0)


def nms(boxes: Tensor, scores: Tensor, most_iou: float) -> Tensor:
    """Which boxes are left, int64, highest score first; of equal scores the first one is first.

    One matrix of overlaps is made on the device and swept on the host, so that the device is waited
    for once. It takes N^2 bytes: 100 MB for 10,000 boxes.

    Args:
        boxes: ``[N, 6]``.
        scores: ``[N]``.
        most_iou: of two that overlap by more, the lower one is dropped.
    """
    order = scores.argsort(descending=True, stable=True)
    overlap = (iou(boxes[order], boxes[order]) > most_iou).cpu().numpy()
    dropped = torch.zeros(len(order), dtype=torch.bool).numpy()
    kept = []
    for number in range(len(order)):
        if not dropped[number]:
            kept.append(number)
            dropped |= overlap[number]
    return order[torch.tensor(kept, dtype=torch.int64, device=order.device)]


def clipped(boxes: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Boxes ``[..., 6]`` cut off at the borders of a volume of `shape` voxels."""
    high = torch.tensor(shape * 2, dtype=boxes.dtype, device=boxes.device)
    return torch.minimum(boxes.clamp(min=0), high)


def encoded(boxes: Tensor, anchors: Tensor) -> Tensor:
    """What a network should answer for `anchors` to mean `boxes`, both ``[N, 6]``.

    Returns:
        ``[N, 6]``: the centre's displacement in units of the anchor's sides, and the logarithms of
        the sides' ratios, each along z, y, x (Ren et al. 2015, with a third axis).
    """
    centre, size = _centre_size(boxes)
    anchor_centre, anchor_size = _centre_size(anchors)
    return torch.cat([(centre - anchor_centre) / anchor_size, (size / anchor_size).log()], -1)


def decoded(answers: Tensor, anchors: Tensor) -> Tensor:
    """The boxes ``[N, 6]`` that answers as of `encoded` mean; sides grow 62.5-fold at most."""
    anchor_centre, anchor_size = _centre_size(anchors)
    centre = anchor_centre + answers[..., :3] * anchor_size
    half = anchor_size * answers[..., 3:].clamp(max=MOST_GROWTH).exp() / 2
    return torch.cat([centre - half, centre + half], -1)


def _centre_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    low, high = boxes[..., :3], boxes[..., 3:]
    return (low + high) / 2, high - low
