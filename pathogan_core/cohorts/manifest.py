"""Cohort manifests: what a cohort is, how to get it, and how it is used. Imports pydantic."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, Field, StringConstraints, ValidationError, model_validator

from pathogan_core.cohorts.brats_layouts import LAYOUTS, Contents
from pathogan_core.cohorts.cases import SEQUENCES
from pathogan_core.cohorts.manifest_preparation import (
    Count,
    Grade,
    Name,
    Part,
    Preparation,
    Text,
)
from pathogan_core.cohorts.prepare_parameters import PreparationParameters
from pathogan_core.errors import PathoganError
from pathogan_core.files import sha256_of_file
from pathogan_core.places import manifests_root

Doi = Annotated[str, StringConstraints(pattern=r"^10\.\d{4,9}/\S+$")]


class Licence(Part):
    """Under which terms the images are given."""

    name: Text
    terms: Text


class Access(Part):
    """How to get the images."""

    steps: Annotated[list[Text], Field(min_length=1)]
    notes: Text | None = None


class Source(Part):
    """One public set that the cohort can be taken from.

    `layout` is None where files have to be renamed first; `t1c` and `mask` say which they are.
    """

    title: Text
    url: Annotated[str, StringConstraints(pattern=r"^https://\S+$")]
    licence: Text
    size: Text
    layout: str | None
    t1c: Text
    mask: Text
    notes: Text
    doi: Doi


class Volume(Part):
    """The grid that every volume has; z, y, x."""

    shape_zyx: tuple[Count, Count, Count]
    spacing_mm: tuple[
        Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]
    ]


class Expected(Part):
    """What the thesis counts."""

    cases: dict[Grade, Count]
    thesis_section: Text


class Provenance(Part):
    """Where the cohort is described."""

    citation: Text
    doi: Doi


class Simulated(Part):
    """The simulated equivalent."""

    simulator: Literal["brain", "metastases"]
    layouts: Annotated[list[str], Field(min_length=1)]
    description: Text


class Manifest(Part):
    """One cohort; the content of `data_manifests/<name>.yaml`.

    Its preparations are named after the thesis' sections; the first is the default.
    """

    name: Name
    title: Text
    description: Text
    thesis_section: Text
    licence: Licence
    access: Access
    layouts: Annotated[list[str], Field(min_length=1)]
    sequences: list[str]
    volume: Volume
    sources: Annotated[dict[Name, Source], Field(default_factory=dict)]
    preparations: Annotated[dict[Name, Preparation], Field(min_length=1)]
    expected: Expected
    provenance: Provenance
    simulated: Simulated

    @model_validator(mode="after")
    def _agrees_with_the_library(self) -> Manifest:
        unknown = sorted({*self.layouts, *self.simulated.layouts} - set(LAYOUTS))
        if unknown:
            raise ValueError(f"layouts: {unknown[0]} is none of {', '.join(LAYOUTS)}")
        if not self.sequences or self.sequences != [s for s in SEQUENCES if s in self.sequences]:
            raise ValueError(f"sequences: must be of {', '.join(SEQUENCES)}, in this order")
        return self

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Manifest:
        for name, source in self.sources.items():
            if source.layout not in {None, *self.layouts}:
                read = ", ".join(self.layouts)
                raise ValueError(f"sources.{name}.layout: {source.layout} is none of {read}")
        cases = {str(grade): count for grade, count in self.expected.cases.items()}
        for name, chosen in self.preparations.items():
            if missing := set(chosen.selection.sequences) - set(self.sequences):
                raise ValueError(
                    f"preparations.{name}.selection.sequences: the cohort has no {min(missing)}"
                )
            if wrong := chosen.contradiction(self.volume.shape_zyx, cases):
                raise ValueError(f"preparations.{name}.{wrong}")
        return self

    @property
    def contents(self) -> Contents:
        """What its folder may hold, as the reader takes it."""
        return Contents(
            tuple(self.layouts), tuple(self.sequences), tuple(map(str, self.expected.cases))
        )

    def preparation(self, name: str | None = None) -> Preparation:
        """One of the preparations; the first if no name is given.

        Raises:
            PathoganError: for an unknown name; it lists the valid ones.
        """
        name = name or next(iter(self.preparations))
        if name not in self.preparations:
            raise PathoganError(
                f"has no preparation {name!r}",
                where=f"cohort {self.name}",
                remedy=f"choose one of {', '.join(self.preparations)}",
            )
        return self.preparations[name]

    def parameters(
        self, preparation: str | None = None, split: str | None = None
    ) -> PreparationParameters:
        """A preparation's choices as `prepare` takes them.

        Args:
            preparation: as for `preparation`.
            split: name of an alternative to its fractions, for instance those that were printed.
        """
        return self.preparation(preparation).parameters(self.volume.shape_zyx, split)


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
