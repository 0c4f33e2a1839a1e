"""The form in which images are measured: 8 bits, as they would be saved and looked at."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from pathogan_core.errors import PathoganError

Images = NDArray[np.uint8]
"""Grey images `[N, S, S]`, 0 black to 255 white."""


def check_images(images: Images, name: str, *, at_least: int = 1) -> Images:
    """Return `images` if they are uint8 `[N, S, S]` with N >= `at_least`.

    Raises:
        PathoganError: another type or shape, or too few images.
    """
    shape = np.shape(images)
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
        kind = getattr(images, "dtype", type(images).__name__)
        raise PathoganError(
            f"are {kind}, not uint8", where=f"{name} images", remedy="quantise with images.as_uint8"
        )
    if len(shape) != 3 or shape[1] != shape[2]:
        raise PathoganError(
            f"have shape {list(shape)}, not [N, S, S]",
            where=f"{name} images",
            remedy="give square grey images, one per row",
        )
    if shape[0] < at_least:
        raise PathoganError(
            f"{shape[0]} given, at least {at_least} needed",
            where=f"{name} images",
            remedy="generate or prepare more",
        )
    return images


def check_same_size(first: Images, second: Images, names: tuple[str, str]) -> None:
    """Raise a `PathoganError` where two checked sets differ in image size."""
    if first.shape[1:] != second.shape[1:]:
        raise PathoganError(
            f"{names[0]} images are {first.shape[1]} px, {names[1]} images {second.shape[1]} px",
            remedy="compare images of one size; resampling one side would itself be measured",
        )


def as_uint8(images: Tensor) -> Images:
    """Quantise what a generator returns: `[N, 1, S, S]`, -1 black to 1 white, to uint8 `[N, S, S]`.

    Values beyond the range (a generator without tanh gives some) are clipped, as on saving.
    """
    levels = ((images.detach().float().cpu() + 1) * 127.5).round().clamp(0, 255)
    return levels.to(torch.uint8).squeeze(1).numpy()


def as_tensor(images: Images) -> Tensor:
    """The inverse of `as_uint8`: float32 `[N, 1, S, S]` in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(images)).unsqueeze(1).float() / 127.5 - 1


def area_resize(images: Tensor, size: int) -> Tensor:
    """Mean over the covered pixels: `[N, 1, S, S]` to `[N, 1, size, size]`, S >= size."""
    return images if images.shape[-1] == size else F.adaptive_avg_pool2d(images, size)
