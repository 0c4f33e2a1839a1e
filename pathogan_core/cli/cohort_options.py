"""Options that the commands of `pathogan cohorts` share, and how their texts become values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pathogan_core.errors import PathoganError

if TYPE_CHECKING:
    from tqdm import tqdm

    from pathogan_core.cohorts.prepare_parameters import PreparationParameters

Cohort = Annotated[str, typer.Argument(help="A name from `pathogan cohorts list`.")]
Root = Annotated[Path, typer.Option(help="Folder of the cohort, as downloaded or simulated.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes that work side by side.")]
Splits = Annotated[
    Path | None, typer.Option(help="CSV with the columns patient,split, instead of a drawn split.")
]
Normals = Annotated[
    int | None,
    typer.Option(help="How many simulated normal subjects besides, where the cohort has such."),
]
SetName = Annotated[
    str | None,
    typer.Option(
        "--set", help="Which of the manifest's preparations, e.g. section4; the first if not given."
    ),
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def changed(parameters: PreparationParameters, **given: Any) -> PreparationParameters:
    """The parameters with what was given instead; None leaves a value as it is."""
    from dataclasses import replace

    changes = {name: value for name, value in given.items() if value is not None}
    return replace(parameters, **changes)


def listed(
    name: str, text: str | None, kind: Callable[[str], Any], count: int | None = None
) -> tuple[Any, ...] | None:
    """The values of a comma-separated option."""
    if text is None:
        return None
    try:
        values = tuple(kind(part.strip()) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or (count is not None and len(values) != count):
        wanted = (
            f"{count} numbers" if count else f"values like {'128,64' if kind is int else 'HGG'}"
        )
        raise PathoganError(
            f"is {text!r}", where=f"--{name}", remedy=f"give {wanted}, separated by commas"
        )
    return values


@contextmanager
def bar(description: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr, driven by (finished, all) counts."""
    from tqdm import tqdm

    bars: list[tqdm] = []

    def progress(finished: int, total: int) -> None:
        if not bars:  # what an earlier call finished does not count as this call's speed
            bars.append(tqdm(desc=description, unit=unit, total=total, initial=finished))
        bars[0].update(finished - bars[0].n)

    try:
        yield progress
    finally:
        for bar in bars:
            bar.close()
