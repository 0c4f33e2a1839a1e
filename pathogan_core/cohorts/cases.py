"""What every source of scans hands on: one brain, its sequences, named tissues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pathogan_core.errors import PathoganError
from pathogan_core.files import sha256_of_value

SEQUENCES = ("t1", "t1c", "t2", "flair")
TISSUES = ("necrosis", "oedema", "non_enhancing", "enhancing")
UNKNOWN_GRADE = "unknown"


@dataclass(frozen=True)
class Problem:
    """Something wrong with a cohort: which file or scan, what, and what to do."""

    where: str
    problem: str
    remedy: str

    def as_error(self) -> PathoganError:
        """The same as an exception."""
        return PathoganError(self.problem, where=self.where, remedy=self.remedy)


@dataclass(frozen=True)
class LoadedCase:
    """One scan in memory.

    Attributes:
        volumes: an array `[z, y, x]` in LPS for each of `SEQUENCES` that the cohort has; 0 outside
            the brain.
        tissues: a bool array of the same shape for each of `TISSUES`; they do not overlap.
        spacing: mm along z, y, x.
    """

    volumes: Mapping[str, np.ndarray]
    tissues: Mapping[str, np.ndarray]
    spacing: tuple[float, float, float]


class Case(Protocol):
    """One scan that has not been read yet; light enough to keep a whole cohort of them.

    A *patient* may have several *scans* (BRATS 2016 and 2023 hold follow-up examinations), which
    is why splits and confidence intervals go by patient while rows go by scan.
    """

    @property
    def scan(self) -> str:
        """Name of this examination, unique in its cohort."""

    @property
    def patient(self) -> str:
        """Name of the person."""

    @property
    def grade(self) -> str:
        """`HGG`, `LGG` or `unknown`; in a cohort of metastases `metastases` or `normal`."""

    def load(self) -> LoadedCase:
        """Read or simulate the scan; raises `PathoganError` for bad files."""

    def content_hash(self) -> str:
        """What the scan is made of: of its files' bytes, or of its simulator's recipe."""


def simulated_content_hash(recipe: Mapping[str, Any], scan: str) -> str:
    """Hash of what decides a simulated scan's voxels: the recipe but for its length, and a name."""
    deciding = ("simulator", "revision", "seed", "layout")
    return sha256_of_value({**{key: recipe.get(key) for key in deciding}, "scan": scan})
