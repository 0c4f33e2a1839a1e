"""Cohort manifests: what a cohort is, how to get it, and how it is used. Imports pydantic."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from pathogan_core.cohorts.brats_layouts import LAYOUTS
from pathogan_core.cohorts.cases import SEQUENCES
from pathogan_core.cohorts.prepare_parameters import PreparationParameters
from pathogan_core.errors import PathoganError
from pathogan_core.files import sha256_of_file
from pathogan_core.places import manifests_root

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Count = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    """Unknown fields are refused: a misspelt one would otherwise be silently without effect."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Licence(_Part):
    """Under which terms the images are given."""

    name: Text
    terms: Text


class Access(_Part):
    """How to get the images."""

    steps: Annotated[list[Text], Field(min_length=1)]
    notes: Text | None = None


class Volume(_Part):
    """The grid that every volume has; z, y, x."""

    shape_zyx: tuple[Count, Count, Count]
    spacing_mm: tuple[
        Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]
    ]


class Selection(_Part):
    """Which cases and slices are used."""

    grades: Annotated[list[Literal["HGG", "LGG", "unknown"]], Field(min_length=1)]
    axis: Literal["x"]
    direction: Literal["growing to the patient's left (LPS)"]
    first_slice: Annotated[int, Field(ge=0)]
    last_slice: Annotated[int, Field(ge=0)]
    thesis_section: Text

    @model_validator(mode="after")
    def _in_order(self) -> Selection:
        if self.last_slice < self.first_slice:
            raise ValueError(
                f"last_slice {self.last_slice} is before first_slice {self.first_slice}"
            )
        return self


class Preparation(_Part):
    """How slices become images."""

    sizes: Annotated[list[Count], Field(min_length=1)]
    white_percentile: float


class Fractions(_Part):
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


class Split(_Part):
    """Who is held out."""

    unit: Literal["patient"]
    fractions: Fractions
    seed: int
    note: Text


class Expected(_Part):
    """What the thesis counts."""

    cases: dict[Literal["HGG", "LGG"], Count]
    slices_per_sequence: Count
    thesis_section: Text


class Provenance(_Part):
    """Where the cohort is described."""

    citation: Text
    doi: Annotated[str, StringConstraints(pattern=r"^10\.\d{4,9}/\S+$")]


class Simulated(_Part):
    """The simulated equivalent."""

    simulator: Literal["brain"]
    layouts: Annotated[list[str], Field(min_length=1)]
    description: Text


_FIELD_OF = {
    "grades": "selection.grades",
    "first_slice": "selection.first_slice",
    "last_slice": "selection.last_slice",
    "sizes": "preparation.sizes",
    "white_percentile": "preparation.white_percentile",
    "split": "split.fractions",
}


class Manifest(_Part):
    """One cohort; the content of `data_manifests/<name>.yaml`."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    title: Text
    description: Text
    thesis_section: Text
    licence: Licence
    access: Access
    layouts: Annotated[list[str], Field(min_length=1)]
    sequences: list[str]
    volume: Volume
    selection: Selection
    preparation: Preparation
    split: Split
    expected: Expected
    provenance: Provenance
    simulated: Simulated

    @model_validator(mode="after")
    def _agrees_with_the_library(self) -> Manifest:
        unknown = sorted({*self.layouts, *self.simulated.layouts} - set(LAYOUTS))
        if unknown:
            raise ValueError(f"layouts: {unknown[0]} is none of {', '.join(LAYOUTS)}")
        if tuple(self.sequences) != SEQUENCES:
            raise ValueError(f"sequences: must be {', '.join(SEQUENCES)} in this order")
        return self

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Manifest:
        try:
            self.parameters()
        except PathoganError as error:
            parameter = str(error.where).removeprefix("parameter ")
            raise ValueError(f"{_FIELD_OF[parameter]}: {error.problem}; {error.remedy}") from error
        chosen = self.selection
        if chosen.last_slice >= self.volume.shape_zyx[2]:
            raise ValueError(f"selection: slice {chosen.last_slice} lies outside the volume")
        cases = sum(n for grade, n in self.expected.cases.items() if grade in chosen.grades)
        slices = cases * (chosen.last_slice - chosen.first_slice + 1)
        if slices != self.expected.slices_per_sequence:
            raise ValueError(
                f"expected: slices_per_sequence is {self.expected.slices_per_sequence}, but the "
                f"selection gives {slices}"
            )
        return self

    def parameters(self) -> PreparationParameters:
        """The manifest's choices as `prepare` takes them."""
        fractions = self.split.fractions
        return PreparationParameters(
            grades=tuple(self.selection.grades),
            first_slice=self.selection.first_slice,
            last_slice=self.selection.last_slice,
            sizes=tuple(self.preparation.sizes),
            white_percentile=self.preparation.white_percentile,
            split=(fractions.train, fractions.validation, fractions.test),
            split_seed=self.split.seed,
            volume_shape=self.volume.shape_zyx,
        )


def manifest_names() -> list[str]:
    """Names of the cohorts there are."""
    return sorted(path.stem for path in manifests_root().glob("*.yaml"))


def manifest_path(name: str) -> Path:
    """The manifest's file; an unknown name lists the valid ones."""
    if name not in manifest_names():
        raise PathoganError(
            "is no cohort", where=name, remedy=f"choose one of {', '.join(manifest_names())}"
        )
    return manifests_root() / f"{name}.yaml"


def manifest_sha256(name: str) -> str:
    """Hash of the manifest's file."""
    return sha256_of_file(manifest_path(name))


def load_manifest(name: str) -> Manifest:
    """Read and check the manifest of a cohort.

    Raises:
        PathoganError: naming file, field and remedy.
    """
    return read_manifest(manifest_path(name))


def read_manifest(path: str | Path) -> Manifest:
    """Read and check one manifest file; see `load_manifest`."""
    path = Path(path)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise PathoganError(f"cannot be read ({error})", where=path, remedy="check it") from error
    except yaml.YAMLError as error:
        raise PathoganError(
            f"is not valid YAML ({error})", where=path, remedy="correct the line"
        ) from error
    if not isinstance(content, Mapping):
        raise PathoganError("holds no fields", where=path, remedy="restore the manifest")
    try:
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        raise _bad_field(path, error) from error
    if manifest.name != path.stem:
        raise PathoganError(
            f"field name is {manifest.name!r}", where=path, remedy=f"make it {path.stem!r}"
        )
    return manifest


def _bad_field(path: Path, error: ValidationError) -> PathoganError:
    """The first mistake, and how many more there are."""
    first, *others = error.errors(include_url=False)
    field = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    problem = f"field {field}: {message}" if field else f"field {message}"
    given = first["input"]
    if field and not isinstance(given, Mapping | BaseModel):
        problem += f" (is {given!r})"
    if first["type"] == "extra_forbidden":
        remedy = "remove the field or correct its name"
    elif first["type"] == "missing":
        remedy = "add the field"
    else:
        remedy = "correct the value"
    more = f" ({len(others)} more after it)" if others else ""
    return PathoganError(problem, where=path, remedy=remedy + more)


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key may stand once only; PyYAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        repeated = {str(key) for key in keys if keys.count(key) > 1}
        if repeated:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {min(repeated)} stands twice", node.start_mark
            )
        return super().construct_mapping(node, deep)
