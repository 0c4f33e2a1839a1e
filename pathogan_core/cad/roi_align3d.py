"""Features of a box at a fixed size, by linear interpolation (RoIAlign, He et al. 2017, in 3D)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def roi_align(
    features: Tensor, boxes: Sequence[Tensor], stride: float, size: int, samples: int = 2
) -> Tensor:
    """What each box holds, as `size` bins along each axis.

    A bin is the mean of `samples` ** 3 points that lie evenly in it. A feature stands at the centre
    of the voxels that it covers, and outside the outermost centres the border's features go on: of
    features that rise linearly, a bin is exactly the value at its centre.

    Args:
        features: ``[N, C, D, H, W]``.
        boxes: for each of the N volumes ``[R, 6]``, in voxels of the *input* (`boxes3d`).
        stride: voxels of the input to a feature, along every axis.

    Returns:
        ``[sum of R, C, size, size, size]``, box after box; differentiable in `features`.
    """
    points = size * samples
    pooled = [
        _pooled(volume[None], some, stride, points)
        for volume, some in zip(features, boxes, strict=True)
    ]
    return F.avg_pool3d(torch.cat(pooled), samples)


def _pooled(volume: Tensor, boxes: Tensor, stride: float, points: int) -> Tensor:
    """All boxes of one volume by one sampling: they lie behind each other along z."""
    count, channels = len(boxes), volume.shape[1]
    if not count:
        return volume.new_empty(0, channels, points, points, points)
    low, high = boxes[:, :3], boxes[:, 3:]
    steps = (torch.arange(points, device=boxes.device, dtype=boxes.dtype) + 0.5) / points
    at = low[:, None] + steps[:, None] * (high - low)[:, None]  # [R, points, (z, y, x)]
    extent = boxes.new_tensor(volume.shape[2:]) * stride
    z, y, x = (2 * at / extent - 1).unbind(-1)
    shape = (count, points, points, points)
    grid = torch.stack(
        [
            x[:, None, None, :].expand(shape),
            y[:, None, :, None].expand(shape),
            z[:, :, None, None].expand(shape),
        ],
        -1,
    )
    grid = grid.reshape(1, count * points, points, points, 3).to(volume.dtype)
    sampled = F.grid_sample(volume, grid, padding_mode="border", align_corners=False)
    return sampled[0].unflatten(1, (count, points)).movedim(1, 0)
