"""The folder of a simulated cohort while it is being written: its marks, its subjects, its end.

A cohort may be interrupted at any moment and continued by the same call. While it is being made,
`simulating.json` names its recipe; when every subject is there, `simulated.json` takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pathogan_core.cohorts.parallel import ordered_map
from pathogan_core.errors import PathoganError
from pathogan_core.files import cannot_write, read_json, write_json

FINISHED = "simulated.json"
UNFINISHED = "simulating.json"

Subject = TypeVar("Subject")


def check_whole_numbers(**given: tuple[Any, int]) -> None:
    """Refuse what is not a whole number of at least the second value, by name."""
    for name, (value, least) in given.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise PathoganError(
                f"{value!r} is not a whole number of at least {least}",
                where=name,
                remedy=f"give {name} as {least} or more",
            )


def claim_folder(out: Path, recipe: dict[str, Any]) -> None:
    """Make sure that `out` is empty or holds this very cohort, and mark it."""
    if out.exists() and not out.is_dir():
        raise PathoganError("is not a folder", where=out, remedy="choose another --out")
    for mark in (out / FINISHED, out / UNFINISHED):
        if mark.exists():
            found = read_json(mark)
            if found != recipe:
                raise PathoganError(
                    f"holds a cohort made with another recipe ({difference(found, recipe)})",
                    where=out,
                    remedy="choose another folder, or delete this one",
                )
            return
    try:
        occupied = out.exists() and any(not p.name.startswith(".") for p in out.iterdir())
    except OSError as error:
        raise PathoganError(
            f"cannot be read ({error.strerror})", where=out, remedy="choose another folder"
        ) from error
    if occupied:
        raise PathoganError(
            "holds files that are no simulated cohort", where=out, remedy="choose an empty folder"
        )
    write_json(out / UNFINISHED, recipe)


def difference(found: Any, wanted: dict[str, Any]) -> str:
    """Name what differs between two recipes."""
    if not isinstance(found, dict):
        return "its mark is damaged"
    keys = [k for k in wanted if found.get(k) != wanted[k]] or sorted(set(found) - set(wanted))
    return ", ".join(f"{k} {found.get(k)!r}, not {wanted.get(k)!r}" for k in keys)


def write_subjects(
    write: Callable[[Subject], None],
    waiting: Sequence[Subject],
    total: int,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Write those subjects of a cohort that are not there yet.

    Args:
        write: simulates one subject and writes its files; importable by a fresh process.
        waiting: the subjects to write.
        total: how many the whole cohort has.
        workers: processes that simulate side by side.
        progress: called with (subjects present, subjects wanted), first before any work.
    """
    done = total - len(waiting)
    if progress is not None:
        progress(done, total)
    workers = min(workers, max(len(waiting), 1))
    for _ in ordered_map(write, waiting, workers):
        done += 1
        if progress is not None:
            progress(done, total)


def mark_finished(out: Path, recipe: dict[str, Any]) -> None:
    """Make the folder a cohort: from here on it may be read."""
    write_json(out / FINISHED, recipe)
    try:
        (out / UNFINISHED).unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(out / UNFINISHED, error) from error
