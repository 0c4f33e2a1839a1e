"""The part of a manifest that says which images are made of a cohort. Imports pydantic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from pathogan_core.cohorts.prepare_parameters import PreparationParameters
from pathogan_core.errors import PathoganError

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Count = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Grade = Literal["HGG", "LGG", "metastases", "normal"]
"""What a cohort's cases are told apart by: the grade of a glioma, or what a subject has."""


class Part(BaseModel):
    """Unknown fields are refused: a misspelt one would otherwise be silently without effect."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Selection(Part):
    """Which cases, slices and sequences are used."""

    grades: Annotated[list[Grade | Literal["unknown"]], Field(min_length=1)]
    plane: Literal["sagittal", "axial"]
    first_slice: Annotated[int, Field(ge=0)]
    last_slice: Annotated[int, Field(ge=0)]
    sequences: Annotated[list[str], Field(min_length=1)]

    @model_validator(mode="after")
    def _in_order(self) -> Selection:
        if self.last_slice < self.first_slice:
            raise ValueError(
                f"last_slice {self.last_slice} is before first_slice {self.first_slice}"
            )
        return self

    @property
    def slices_per_case(self) -> int:
        """How many slices of a case lie in the range."""
        return self.last_slice - self.first_slice + 1


class Images(Part):
    """How slices become images."""

    frame: Count | None = None
    sizes: Annotated[list[Count], Field(min_length=1)]
    white_percentile: float
    lesion_tissues: list[str] = []


class Fractions(Part):
    """Shares of the patients."""

    train: Fraction
    validation: Fraction
    test: Fraction

    @model_validator(mode="after")
    def _whole(self) -> Fractions:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the fractions sum to {total:g} instead of 1")
        return self


class Split(Part):
    """Who is held out."""

    unit: Literal["patient"]
    fractions: Fractions
    alternatives: dict[Name, Fractions] = {}
    train_only: list[Grade] = []
    seed: int
    note: Text


class ClassCounts(Part):
    """One split of a classification set as the thesis prints it: patients, and images by class."""

    patients: Count
    tumour: Count
    non_tumour: Count


class PrintedClasses(Part):
    """The classification set as the thesis prints it."""

    train: ClassCounts
    validation: ClassCounts
    test: ClassCounts

    def rows(self) -> dict[str, ClassCounts]:
        """By the names of `splits.SPLITS`."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


class BoxCounts(Part):
    """One split of a detection set as the thesis prints it: images with a tumour, and its boxes."""

    patients: Count
    images: Count
    boxes: Count


class PrintedBoxes(Part):
    """The detection set as the thesis prints it."""

    train: BoxCounts
    validation: BoxCounts
    test: BoxCounts

    def rows(self) -> dict[str, BoxCounts]:
        """By the names of `splits.SPLITS`."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


class PreparedCounts(Part):
    """How many slices there are to use, and what the thesis says it used."""

    slices_per_sequence: Count
    classes: PrintedClasses | None = None
    boxes: PrintedBoxes | None = None


_FIELD_OF = {
    "grades": "selection.grades",
    "plane": "selection.plane",
    "first_slice": "selection.first_slice",
    "last_slice": "selection.last_slice",
    "sequences": "selection.sequences",
    "frame": "images.frame",
    "sizes": "images.sizes",
    "white_percentile": "images.white_percentile",
    "lesion_tissues": "images.lesion_tissues",
    "split": "split.fractions",
}


class Preparation(Part):
    """One set of images made of the cohort."""

    thesis_section: Text
    selection: Selection
    images: Images
    split: Split
    expected: PreparedCounts

    def parameters(
        self, volume_shape: tuple[int, int, int], split: str | None = None
    ) -> PreparationParameters:
        """The choices as `prepare` takes them; `split` names an alternative to its fractions."""
        fractions = self.split.fractions if split is None else self._alternative(split)
        return PreparationParameters(
            grades=tuple(self.selection.grades),
            first_slice=self.selection.first_slice,
            last_slice=self.selection.last_slice,
            sizes=tuple(self.images.sizes),
            white_percentile=self.images.white_percentile,
            split=(fractions.train, fractions.validation, fractions.test),
            split_seed=self.split.seed,
            volume_shape=volume_shape,
            plane=self.selection.plane,
            frame=self.images.frame,
            sequences=tuple(self.selection.sequences),
            lesion_tissues=tuple(self.images.lesion_tissues),
        )

    def _alternative(self, name: str) -> Fractions:
        if name not in self.split.alternatives:
            names = ", ".join(self.split.alternatives) or "none: it has no alternatives"
            raise PathoganError(
                f"is {name!r}", where="split.alternatives", remedy=f"choose one of {names}"
            )
        return self.split.alternatives[name]

    def contradiction(
        self, volume_shape: tuple[int, int, int], cases: Mapping[str, int]
    ) -> str | None:
        """The first thing in which it cannot be so, with its field; None if there is none."""
        try:
            self.parameters(volume_shape)
        except PathoganError as error:
            parameter = str(error.where).removeprefix("parameter ")
            return f"{_FIELD_OF[parameter]}: {error.problem}; {error.remedy}"
        if strangers := set(self.split.train_only) - set(self.selection.grades):
            return f"split.train_only: the selection has no {min(strangers)}"
        if set(self.selection.grades) == set(self.split.train_only):
            return "split.train_only: names all of the selection, so that nothing is held out"
        chosen = sum(n for grade, n in cases.items() if grade in self.selection.grades)
        slices = chosen * self.selection.slices_per_case
        if slices != self.expected.slices_per_sequence:
            return (
                f"expected: slices_per_sequence is {self.expected.slices_per_sequence}, but the "
                f"selection gives {slices}"
            )
        for name, used in self._printed_images().items():
            if used > slices:
                return f"expected: {name} hold {used} images, but the selection gives {slices}"
        return None

    def _printed_images(self) -> dict[str, int]:
        """How many images the thesis' counts add up to."""
        images = {}
        if classes := self.expected.classes:
            rows = classes.rows().values()
            images["classes"] = sum(row.tumour + row.non_tumour for row in rows)
        if boxes := self.expected.boxes:
            images["boxes"] = sum(row.images for row in boxes.rows().values())
        return images
