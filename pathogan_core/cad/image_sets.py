"""What a classifier learns from: real and synthetic images of two classes, mixed in proportion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from pathogan_core.errors import PathoganError
from pathogan_core.training.augmentation import ClassicAugmentation
from pathogan_core.training.batches import DeviceImages
from pathogan_core.training.phases import Turn

NON_TUMOUR, TUMOUR = 0, 1
CLASSES = {NON_TUMOUR: "non-tumour", TUMOUR: "tumour"}


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images of one origin.

    Args:
        name: for messages, e.g. ``real`` or ``pggan``.
        images: uint8 ``[N, S, S]``. Sets that hold the *same array object* share it on the device.
        labels: ``[N]``, 1 tumour and 0 non-tumour.
        count: how many images of an epoch come from this set, its share of every batch; None: N.
            The thesis' "+ 200k classic DA" is the real images once more with `augmented` and a
            count of 200,000.
        augmented: whether they are augmented whenever they are drawn.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    count: int | None = None
    augmented: bool = False

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 3:
            shape = "x".join(map(str, self.images.shape))
            raise self._error(f"is {self.images.dtype} {shape}", "give uint8 [N, S, S]")
        if not len(self.images):
            raise self._error("holds no images", "leave the set out of this arm")
        if self.images.shape[1] != self.images.shape[2]:
            raise self._error("has images that are not square", "crop or pad them first")
        if self.labels.shape != (len(self.images),):
            problem = f"has {len(self.images)} images and {self.labels.size} labels"
            raise self._error(problem, "give one label for each image")
        if not np.isin(self.labels, list(CLASSES)).all():
            raise self._error("has labels other than 0 and 1", "1 is tumour, 0 is non-tumour")
        if self.count is not None and self.count < 1:
            raise self._error(f"has a count of {self.count}", "give 1 or more, or leave it out")

    def __len__(self) -> int:
        """Images of an epoch that come from this set."""
        return len(self.images) if self.count is None else self.count

    def _error(self, problem: str, remedy: str) -> PathoganError:
        return PathoganError(problem, where=f"image set {self.name}", remedy=remedy)


class Mixture:
    """The training images of one arm, on the device; its length is an epoch's number of images.

    Differs: the thesis makes, say, 200,000 augmented images once and passes over all images epoch
    by epoch. Here every image of a batch is drawn with replacement, its set in proportion to the
    sets' counts, and augmented anew. An image is seen as often on average.

    Args:
        sets: what the arm is made of.
        device: where the images stay.

    Raises:
        PathoganError: no set, sets of unequal image size, or a class without a single image.
    """

    def __init__(self, sets: Sequence[ImageSet], device: torch.device | str = "cpu"):
        _check(sets)
        self.sets = tuple(sets)
        self.side = sets[0].images.shape[1]
        arrays = {id(part.images): part.images for part in sets}
        first_row = dict(zip(arrays, _starts(map(len, arrays.values())), strict=True))
        self._images = DeviceImages(np.concatenate(list(arrays.values())), device)
        labels = np.concatenate([part.labels for part in sets]).astype(np.float32)
        self._labels = torch.from_numpy(labels).to(device)

        def per_set(values: list[int] | list[bool]) -> Tensor:
            return torch.tensor(values, device=device)

        self._image_starts = per_set([first_row[id(part.images)] for part in sets])
        self._label_starts = per_set(_starts(len(part.images) for part in sets))
        self._ends = per_set(list(accumulate(len(part) for part in sets)))
        self._augmented = per_set([part.augmented for part in sets])

    def __len__(self) -> int:
        return sum(map(len, self.sets))

    def draw(
        self, turn: Turn, batch_size: int, augmentation: ClassicAugmentation
    ) -> tuple[Tensor, Tensor]:
        """This rank's share of a batch: images float ``[n, 1, S, S]`` in [-1, 1], labels ``[n]``.

        Only images of sets that are `augmented` are changed.
        """
        place = turn.indices(batch_size, len(self)).contiguous()  # a rank's share is strided
        chosen = torch.bucketize(place, self._ends, right=True)
        rows = torch.stack([turn.indices(batch_size, len(part.images)) for part in self.sets])
        row = rows.gather(0, chosen[None])[0]
        images = self._images[self._image_starts[chosen] + row]
        labels = self._labels[self._label_starts[chosen] + row]
        if any(part.augmented for part in self.sets):
            changed = augmentation(images, turn.rand(batch_size, augmentation.DRAWS))
            images = torch.where(self._augmented[chosen].view(-1, 1, 1, 1), changed, images)
        return images, labels


def _starts(lengths: Iterable[int]) -> list[int]:
    """Where each of some parts begins when they lie one after another."""
    return list(accumulate(lengths, initial=0))[:-1]


def _check(sets: Sequence[ImageSet]) -> None:
    if not sets:
        raise PathoganError("has no image set", where="arm", remedy="name one or more")
    sizes = {part.name: part.images.shape[1] for part in sets}
    if len(set(sizes.values())) > 1:
        found = ", ".join(f"{name} {size} px" for name, size in sizes.items())
        raise PathoganError(
            f"its image sets differ in size ({found})",
            where="arm",
            remedy="resize all to the classifier's input",
        )
    for label, name in CLASSES.items():
        if not any((part.labels == label).any() for part in sets):
            raise PathoganError(
                f"no image of class {name} in {', '.join(sizes)}",
                where="arm",
                remedy="add patients, or loosen the rule that decides the class",
            )
