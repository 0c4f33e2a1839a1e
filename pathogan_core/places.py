"""Where things lie: the project's root, cohorts, runs and committed results."""

from __future__ import annotations

import os
from pathlib import Path

from pathogan_core.errors import PathoganError


def project_root() -> Path:
    """The checkout that holds `data_manifests/`, `notebooks/` and `book/`.

    `$PATHOGAN_HOME` if set, else the folder above the package (true for `pip install -e .`),
    else the working directory or the nearest folder above it.
    """
    if home := os.environ.get("PATHOGAN_HOME"):
        return Path(home)
    package_parent = Path(__file__).resolve().parent.parent
    for folder in (package_parent, Path.cwd(), *Path.cwd().parents):
        if (folder / "data_manifests").is_dir() and (folder / "_toc.yml").is_file():
            return folder
    raise PathoganError(
        "the project's folder was not found",
        where=Path.cwd(),
        remedy="run inside a checkout or set PATHOGAN_HOME to one",
    )


def data_root() -> Path:
    """Cohorts and prepared arrays: `$PATHOGAN_DATA`, else `data/` in the project."""
    return Path(os.environ.get("PATHOGAN_DATA") or project_root() / "data")


def runs_root() -> Path:
    """The run store: `$PATHOGAN_RUNS`, else `runs/` in the project."""
    return Path(os.environ.get("PATHOGAN_RUNS") or project_root() / "runs")


def results_root() -> Path:
    """Finished study results that are committed with the book."""
    return project_root() / "book" / "results"


def manifests_root() -> Path:
    """The cohort manifests."""
    return project_root() / "data_manifests"
