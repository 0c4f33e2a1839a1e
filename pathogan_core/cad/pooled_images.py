"""Images of several sets on the device, drawn in proportion: what all training sets share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from pathogan_core.errors import PathoganError
from pathogan_core.training.batches import DeviceImages
from pathogan_core.training.phases import Turn


class CountedImages(Protocol):
    """A set of images of one origin; its length is how many images of an epoch come from it."""

    @property
    def name(self) -> str: ...

    @property
    def images(self) -> np.ndarray: ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Drawn:
    """What one draw of `n` images gives.

    Args:
        images: float ``[n, 1, S, S]`` in [-1, 1].
        chosen: int64 ``[n]``, the number of the set each comes from.
        entry: int64 ``[n]``, its place among the images of all sets, laid end to end.
    """

    images: Tensor
    chosen: Tensor
    entry: Tensor


class PooledImages:
    """Images of one or more sets; its length is the number of images that lie on the device.

    Sets that hold the *same array object* share it there.

    Args:
        sets: as `check_sets` wants them.
        device: where the images stay.
    """

    def __init__(self, sets: Sequence[CountedImages], device: torch.device | str = "cpu"):
        self.side = sets[0].images.shape[1]
        self.epoch = sum(map(len, sets))
        self._sizes = [len(part.images) for part in sets]
        arrays = {id(part.images): part.images for part in sets}
        first_row = dict(zip(arrays, _starts(map(len, arrays.values())), strict=True))
        self._images = DeviceImages(np.concatenate(list(arrays.values())), device)
        rows = [first_row[id(part.images)] for part in sets]
        self._image_starts = torch.tensor(rows, device=device)
        self._entry_starts = torch.tensor(_starts(self._sizes), device=device)
        self._ends = torch.tensor(list(accumulate(map(len, sets))), device=device)

    def __len__(self) -> int:
        return len(self._images)

    def draw(self, turn: Turn, batch_size: int) -> Drawn:
        """This rank's share of a batch: a set in proportion to its length, of it any image."""
        place = turn.indices(batch_size, self.epoch).contiguous()  # a rank's share is strided
        chosen = torch.bucketize(place, self._ends, right=True)
        rows = torch.stack([turn.indices(batch_size, size) for size in self._sizes])
        row = rows.gather(0, chosen[None])[0]
        images = self._images[self._image_starts[chosen] + row]
        return Drawn(images, chosen, self._entry_starts[chosen] + row)


def check_images(where: str, images: np.ndarray, count: int | None) -> None:
    """Refuse what is no set of 8-bit square images, or a count that is no count.

    Raises:
        PathoganError: naming `where`.
    """
    if images.dtype != np.uint8 or images.ndim != 3:
        shape = "x".join(map(str, images.shape))
        remedy = "give uint8 [N, S, S]"
        raise PathoganError(f"is {images.dtype} {shape}", where=where, remedy=remedy)
    if not len(images):
        remedy = "leave the set out of this arm"
        raise PathoganError("holds no images", where=where, remedy=remedy)
    if images.shape[1] != images.shape[2]:
        problem, remedy = "has images that are not square", "crop or pad them first"
        raise PathoganError(problem, where=where, remedy=remedy)
    if count is not None and count < 1:
        remedy = "give 1 or more, or leave it out"
        raise PathoganError(f"has a count of {count}", where=where, remedy=remedy)


def check_sets(sets: Sequence[CountedImages]) -> None:
    """Refuse an arm without a set, or of sets whose images differ in size.

    Raises:
        PathoganError: naming the sizes.
    """
    if not sets:
        raise PathoganError("has no image set", where="arm", remedy="name one or more")
    sizes = {part.name: part.images.shape[1] for part in sets}
    if len(set(sizes.values())) > 1:
        found = ", ".join(f"{name} {size} px" for name, size in sizes.items())
        raise PathoganError(
            f"its image sets differ in size ({found})",
            where="arm",
            remedy="resize all to the same",
        )


def _starts(lengths: Iterable[int]) -> list[int]:
    """Where each of some parts begins when they lie one after another."""
    return list(accumulate(lengths, initial=0))[:-1]
