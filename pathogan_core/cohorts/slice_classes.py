"""Tumour and non-tumour slices (thesis section 4.2.2), by a rule on the segmentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from pathogan_core.cohorts.cases import TISSUES
from pathogan_core.cohorts.prepared import PreparedSlices
from pathogan_core.cohorts.splits import SPLITS
from pathogan_core.errors import PathoganError

CLASSES = ("tumour", "non_tumour")
TUMOUR_RULES: Mapping[str, tuple[str, ...]] = {
    "any": TISSUES,
    "core": ("necrosis", "non_enhancing", "enhancing"),
    "enhancing": ("enhancing",),
}


@dataclass(frozen=True)
class SliceClasses:
    """Which slices count as tumour, which as non-tumour, and which are left out.

    The thesis defines neither class. It uses 51 to 62 of each patient's 101 slices, and does not
    say which; `every` and `brain_fraction` are ways to use fewer, and off by default.

    Attributes:
        tumour_rule: tissues that make a slice a tumour slice: `any` of the four, the tumour `core`
            (without oedema), or `enhancing` tumour only.
        tumour_voxels: how many voxels of them it takes, at least.
        every: only slices whose number is a multiple of this.
        brain_fraction: smallest share of the slice's area that is brain, in 0..1.

    A slice is non-tumour if no voxel of it has any label. One that has some, but too few or of
    other tissues than the rule's, is in neither class.
    """

    tumour_rule: str = "any"
    tumour_voxels: int = 1
    every: int = 1
    brain_fraction: float = 0.0

    def __post_init__(self) -> None:
        for name, valid, remedy in (
            (
                "tumour_rule",
                self.tumour_rule in TUMOUR_RULES,
                f"choose one of {', '.join(TUMOUR_RULES)}",
            ),
            ("tumour_voxels", self.tumour_voxels >= 1, "choose at least 1"),
            ("every", self.every >= 1, "choose at least 1"),
            ("brain_fraction", 0 <= self.brain_fraction <= 1, "choose 0 to 1"),
        ):
            if not valid:
                raise PathoganError(
                    f"is {getattr(self, name)!r}", where=f"parameter {name}", remedy=remedy
                )

    def of(self, table: pd.DataFrame) -> np.ndarray:
        """`tumour`, `non_tumour` or, for what is left out, an empty string, for each row.

        Args:
            table: as `PreparedSlices.table`.
        """
        wanted = [f"{tissue}_voxels" for tissue in TUMOUR_RULES[self.tumour_rule]]
        tumour = table[wanted].sum(axis=1) >= self.tumour_voxels
        healthy = (table[[f"{tissue}_voxels" for tissue in TISSUES]] == 0).all(axis=1)
        used = (table["slice"] % self.every == 0) & (table["brain_fraction"] >= self.brain_fraction)
        return np.select([used & tumour, used & healthy], CLASSES, "")

    def select(self, prepared: PreparedSlices, name: str) -> PreparedSlices:
        """The slices of one class, with a fingerprint of their own.

        Args:
            name: one of `CLASSES`.

        Raises:
            PathoganError: for another name, or if there is no such slice.
        """
        if name not in CLASSES:
            raise PathoganError(
                f"is {name!r}", where="class", remedy=f"choose one of {', '.join(CLASSES)}"
            )
        return prepared.select(self.of(prepared.table) == name, {"class": name, **asdict(self)})

    def counts(self, table: pd.DataFrame) -> dict[str, dict[str, int]]:
        """For each split the number of `patients` and of images of each class.

        Patients are all of the split's, whether or not a slice of theirs is in a class.
        """
        classes = self.of(table)
        counts = {}
        for split in SPLITS:
            inside = (table["split"] == split).to_numpy(bool)
            images = {name: int(np.sum(classes[inside] == name)) for name in CLASSES}
            counts[split] = {"patients": table.loc[inside, "patient"].nunique(), **images}
        return counts
