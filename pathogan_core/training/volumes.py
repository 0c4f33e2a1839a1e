"""Volumes of interest that live on the device in Hounsfield units, handed out as floats."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


class DeviceVolumes:
    """A set of 16-bit volumes on the device.

    Args:
        volumes: int16 ``[N, D, H, W]`` in HU. 3,727 of 64 voxels a side take 2 GB.
        low_hu, high_hu: the window, handed out as -1 to 1; what lies beyond is cut off.
        device: where they stay.
    """

    def __init__(
        self,
        volumes: np.ndarray,
        low_hu: float,
        high_hu: float,
        device: torch.device | str = "cpu",
    ):
        if volumes.dtype != np.int16 or volumes.ndim != 4:
            shape = "x".join(map(str, volumes.shape))
            raise ValueError(f"expected int16 [N, D, H, W], got {volumes.dtype} {shape}")
        self._volumes = torch.from_numpy(np.ascontiguousarray(volumes)).to(device)
        self.low_hu, self.high_hu = low_hu, high_hu

    def __len__(self) -> int:
        return len(self._volumes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one volume, ``(D, H, W)``."""
        return tuple(self._volumes.shape[1:])

    def __getitem__(self, indices: Tensor) -> Tensor:
        """Float32 ``[n, 1, D, H, W]`` in [-1, 1] for int64 `indices` ``[n]``."""
        return windowed(self._volumes[indices][:, None], self.low_hu, self.high_hu)


def windowed(hu: Tensor, low: float, high: float) -> Tensor:
    """HU to float32 in [-1, 1]: `low` and below is -1, `high` and above is 1."""
    return ((hu.float() - low) * (2 / (high - low)) - 1).clamp(-1, 1)


def to_hu(values: Tensor, low: float, high: float) -> Tensor:
    """The reverse, int16; values outside [-1, 1] are clipped."""
    return ((values.float().clamp(-1, 1) + 1) * ((high - low) / 2) + low).round().to(torch.int16)
