"""Images that live on the device: a batch is an index select there, with no worker processes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


class DeviceImages:
    """A set of 8-bit images on the device, handed out as floats.

    Args:
        images: uint8 ``[N, H, W]`` (one channel) or ``[N, C, H, W]``.
        device: where they stay. 20,000 slices of 256 px take 1.3 GB.
    """

    def __init__(self, images: np.ndarray, device: torch.device | str = "cpu"):
        if images.dtype != np.uint8 or images.ndim not in (3, 4):
            shape = "x".join(map(str, images.shape))
            raise ValueError(
                f"expected uint8 [N, H, W] or [N, C, H, W], got {images.dtype} {shape}"
            )
        tensor = torch.from_numpy(np.ascontiguousarray(images)).to(device)
        self._images = tensor[:, None] if tensor.ndim == 3 else tensor

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, indices: Tensor) -> Tensor:
        """Float32 ``[n, C, H, W]`` in [-1, 1] for int64 `indices` ``[n]``."""
        return to_unit_range(self._images[indices])


def to_unit_range(images: Tensor) -> Tensor:
    """uint8 0..255 to float32 [-1, 1]."""
    return images.float() / 127.5 - 1.0


def shifted(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Each image moved by its own whole pixels; what comes in at an edge is black (-1).

    Args:
        images: float ``[N, C, H, W]`` in [-1, 1].
        rows, columns: int64 ``[N]``; positive moves down and to the right.
    """
    count, _, height, width = images.shape
    y = torch.arange(height, device=images.device) - rows[:, None]
    x = torch.arange(width, device=images.device) - columns[:, None]
    inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
    sample = torch.arange(count, device=images.device)[:, None, None]
    moved = images[sample, :, y.clamp(0, height - 1)[:, :, None], x.clamp(0, width - 1)[:, None, :]]
    return torch.where(inside[:, None], moved.permute(0, 3, 1, 2), -1.0)


def to_uint8(images: Tensor) -> Tensor:
    """Float [-1, 1] to uint8 0..255; values outside are clipped.

    The thesis removes the generator's tanh, so its output is unbounded: this clip, at saving only,
    is where the range is closed.
    """
    return ((images.float() + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)
