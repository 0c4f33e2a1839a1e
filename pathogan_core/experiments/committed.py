"""Finished study runs that are committed with the book, so that its pages show what they made.

A run is committed under its set-up's name, e.g. ``arm-real-scratch-seed0``. One that was made with
another value of a parameter is a *variant*, and its name says so:
``arm-real-scratch@patients16-seed0``.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pathogan_core.errors import PathoganError
from pathogan_core.experiments.records import read_record
from pathogan_core.experiments.store import GENERATOR, RECORD, Run
from pathogan_core.files import cannot_write, write_json
from pathogan_core.places import results_root
from pathogan_core.training.checkpoint import save_tensors
from pathogan_core.training.loop import LOG

MOST_WEIGHT_BYTES = 10_000_000


def split_variant(setup: str) -> tuple[str, str]:
    """``a@b-seed0`` to ``a-seed0``, ``b``; the second is empty where the name is of no variant."""
    found = re.search(r"@([a-z0-9_]+)", setup)
    return (setup.replace(found[0], ""), found[1]) if found else (setup, "")


def committed_run(chapter: str, setup: str, root: Path | None = None) -> Run | None:
    """The committed run of a set-up, e.g. ``ch3``, ``wgan-t1c-64``; None where there is none yet.

    Args:
        root: where committed results lie, `places.results_root()` by default.

    Raises:
        PathoganError: its record is damaged.
    """
    folder = (root or results_root()) / chapter / setup
    return Run(folder, read_record(folder / RECORD)) if (folder / RECORD).exists() else None


def committed_runs(chapter: str, root: Path | None = None) -> dict[str, Run]:
    """Every committed run of a chapter by set-up, in alphabetical order."""
    folders = sorted(((root or results_root()) / chapter).glob(f"*/{RECORD}"))
    return {path.parent.name: Run(path.parent, read_record(path)) for path in folders}


def commit_run(
    run: Run,
    files: Mapping[str, bytes],
    *,
    weights: bool,
    setup: str | None = None,
    root: Path | None = None,
) -> Path:
    """Copy a finished run to where committed results lie, in place of an earlier one.

    Args:
        run: finished; its record is kept, and its log if it was trained.
        files: what else to keep, by file name, e.g. PNGs of images; made by the caller.
        weights: its generator too, with kernels in half precision: a repository is no place for
            more, and an image changes by less than a grey level.
        setup: the name to commit it under, in its record too; its own by default. A variant's run
            has the same set-up as the one that it differs from, as it does the same in its chapter.
        root: as in `committed_run`.

    Returns:
        The folder.

    Raises:
        PathoganError: the weights are too large for a repository, or nothing can be written.
    """
    record = replace(run.record, setup=setup or run.record.setup)
    folder = (root or results_root()) / record.chapter / record.setup
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            if (run.folder / LOG).exists():
                shutil.copyfile(run.folder / LOG, made / LOG)
            write_json(made / RECORD, record.as_json())
            for name, content in files.items():
                (made / name).write_bytes(content)
            if weights:
                _write_halved(run, made / GENERATOR)
            if folder.exists():
                folder.rename(Path(scratch) / "earlier")
            made.rename(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder


def _write_halved(run: Run, path: Path) -> None:
    tensors, header = run.load_tensors()
    kernels = {name: tensor for name, tensor in tensors.items() if tensor.ndim > 1}
    save_tensors(path, tensors | {name: t.half() for name, t in kernels.items()}, header)
    if (size := path.stat().st_size) > MOST_WEIGHT_BYTES:
        raise PathoganError(
            f"{size / 1e6:.1f} MB of weights are more than {MOST_WEIGHT_BYTES / 1e6:.0f} MB",
            where=run.folder / GENERATOR,
            remedy="commit the run without its weights",
        )
