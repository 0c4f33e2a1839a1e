"""Prepare a cohort that lies on disk, with the choices of its manifest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pathogan_core.cohorts.brats import discover
from pathogan_core.cohorts.manifest import load_manifest, manifest_sha256
from pathogan_core.cohorts.prepare import CohortSource, prepare
from pathogan_core.cohorts.prepare_parameters import PreparationParameters
from pathogan_core.cohorts.prepared import PreparedSlices
from pathogan_core.cohorts.splits import draw_splits, read_splits, resolve_splits


def prepare_folder(
    cohort: str,
    root: str | Path,
    out: str | Path,
    parameters: PreparationParameters | None = None,
    *,
    preparation: str | None = None,
    splits: str | Path | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> PreparedSlices:
    """Prepare the scans below `root`.

    Args:
        cohort: the manifest's name.
        root: folder in any layout that the reader knows.
        out: folder of the prepared slices.
        parameters: those of the manifest's preparation by default.
        preparation: which of them; the first by default. It also says who is for training only.
        splits: CSV with the columns `patient` and `split` to use instead of a drawn split.
        workers: processes that read scans.
        progress: as for `prepare`.

    Raises:
        PathoganError: for the first thing that is wrong; `check` lists all.
    """
    manifest = load_manifest(cohort)
    parameters = parameters or manifest.parameters(preparation)
    train_only = manifest.preparation(preparation).split.train_only
    found = discover(root, manifest.contents)
    if found.problems:
        raise found.problems[0].as_error()
    split_of = None
    if splits is not None:
        given = read_splits(splits)
        split_of, problems = resolve_splits(found.cases, given, parameters.grades, train_only)
        if problems:
            raise problems[0].as_error()
    elif train_only:
        split_of = draw_splits(
            found.cases, parameters.grades, parameters.split, parameters.split_seed, train_only
        )
    source = CohortSource(cohort, manifest_sha256(cohort), found.recipe)
    return prepare(
        found.cases, out, source, parameters, splits=split_of, workers=workers, progress=progress
    )
