"""The second question of a Visual Turing Test: which of two classes does an image show?

Thesis section 4.2.5 shows as many tumour as non-tumour images of each truth, and asks of each
image both: real or synthetic, tumour or non-tumour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.turing import REAL, SYNTHETIC, TRUTHS


@dataclass(frozen=True, eq=False)
class ImageClasses:
    """What the images of a session show, and what a reader is asked about it.

    Args:
        names: the two classes in the order of their buttons, lower case as in the key. Each first
            letter is a key of the keyboard, so all of them differ, from R and S too: a key that
            bounces must not answer both questions.
        real, synthetic: a name for each image, `[N]` and `[M]`.

    Raises:
        PathoganError: names that cannot be asked for, or an image of another class.
    """

    names: tuple[str, str]
    real: Sequence[str] | NDArray[np.str_]
    synthetic: Sequence[str] | NDArray[np.str_]

    def __post_init__(self) -> None:
        names = self.names
        keys = {name[:1] for name in (*names, *TRUTHS)}
        if len(names) != 2 or len(keys) != 4 or not all(map(_can_be_asked, names)):
            raise PathoganError(
                f"class names {names!r} cannot be asked for",
                remedy="give two lower-case names that begin with different letters, not r or s",
            )
        for truth in TRUTHS:
            unknown = sorted(set(self.of(truth).tolist()) - set(names))
            if unknown:
                raise PathoganError(
                    f"a {truth} image is of class {unknown[0]!r}",
                    remedy=f"leave it out, or call it {' or '.join(names)}",
                )

    def of(self, truth: str) -> NDArray[np.str_]:
        """Classes of the images of a truth, `[N]` or `[M]`."""
        return np.asarray({REAL: self.real, SYNTHETIC: self.synthetic}[truth], dtype=np.str_)

    def draw(
        self, truth: str, images: int, count: int, rng: np.random.Generator
    ) -> NDArray[np.intp]:
        """Numbers of `count` images of a truth, half of each class, without replacement.

        Args:
            truth: "real" or "synthetic".
            images: how many there are to draw from.
            count: how many to draw.
            rng: moves on by two draws.

        Raises:
            PathoganError: another number of classes than of images, an odd count, or too few
                images of a class.
        """
        classes = self.of(truth)
        if classes.shape != (images,):
            raise PathoganError(
                f"{images} {truth} images, but classes of shape {classes.shape}",
                remedy="give one class for each image",
            )
        if count % 2:
            raise PathoganError(
                f"{count} {truth} images cannot be half of each class",
                remedy="choose an even per_class",
            )
        drawn = []
        for name in self.names:
            numbers = np.flatnonzero(classes == name)
            if len(numbers) < count // 2:
                raise PathoganError(
                    f"{count // 2} {truth} images of class {name} wanted, {len(numbers)} given",
                    remedy="give more of them or choose a smaller per_class",
                )
            drawn.append(rng.choice(numbers, count // 2, replace=False))
        return np.concatenate(drawn)


def _can_be_asked(name: str) -> bool:
    """A key on the keyboard begins it, and a CSV file gives it back as it is."""
    return "a" <= name[:1] <= "z" and name == name.strip().lower() and name.isprintable()
