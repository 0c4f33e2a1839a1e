"""A folder of prepared slices while it is being written: arrays, journal, lock.

`prepared.json` is written last and is the mark of completeness. Until then `preparing.json` says
what is being made and `journal.jsonl` which scans are done, so that an interrupted preparation
goes on where it stopped and ends in the same bytes.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from pathogan_core.cohorts.prepared import BOXES, INFO, TABLE
from pathogan_core.errors import PathoganError
from pathogan_core.files import cannot_write, read_json, write_json

PLAN, JOURNAL, LOCK = "preparing.json", "journal.jsonl", ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder; a second process waits here and then finds the work done."""
    try:
        handle = _acquire(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error
    with handle:  # closing the file releases the lock
        yield


def _acquire(folder: Path) -> IO[str]:
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / LOCK).open("w")
        fcntl.flock(handle, fcntl.LOCK_EX)
        if _is_still(folder / LOCK, handle):
            return handle
        handle.close()  # its former holder gave up and removed the folder: begin again


def _is_still(path: Path, handle: IO[str]) -> bool:
    try:
        return path.stat().st_ino == os.fstat(handle.fileno()).st_ino
    except FileNotFoundError:
        return False


def begin_or_resume(folder: Path, plan: dict[str, Any]) -> None:
    """Make sure that what lies in the folder, if anything, was begun with this very plan.

    Raises:
        PathoganError: if it was begun with another plan, or holds files of unknown origin.
    """
    if (folder / PLAN).is_file():
        refuse_differences(folder, read_json(folder / PLAN), plan)
        return
    visible = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    if visible:
        raise PathoganError(
            f"holds {visible[0]} but no {INFO}: a half-written cache or other files",
            where=folder,
            remedy="delete the folder or choose another",
        )
    try:
        write_json(folder / PLAN, plan)
    except PathoganError:
        discard(folder, [])
        raise


def refuse_differences(folder: Path, held: dict[str, Any], asked: dict[str, Any]) -> None:
    """Raise a `PathoganError` that names the first thing in which two plans differ."""
    for key in {**asked, **held}:  # what only one of them names is a difference too
        here, there = held.get(key), asked.get(key)
        if here == there:
            continue
        if isinstance(here, dict) and isinstance(there, dict):
            refuse_differences(folder, here, there)
        told = key if isinstance(there, list | dict) and len(str(there)) > 60 else None
        raise PathoganError(
            f"was made with other {told}" if told else f"was made with {key} {here}, not {there}",
            where=folder,
            remedy="ask for the same, delete the folder, or choose another",
        )


class ArrayWriter:
    """The `.npy` files of a cohort, filled scan by scan with ordinary writes.

    A memory map would be shorter to write, but a disk that fills behind a memory map kills the
    process with SIGBUS; a plain write raises ENOSPC, which can be told in one line.

    Args:
        files: each array's path and final shape (uint8). A file of that size is kept and filled in.
    """

    def __init__(self, files: dict[Path, tuple[int, int, int]]):
        self._row_bytes = {path: shape[1] * shape[2] for path, shape in files.items()}
        self._handles: dict[Path, IO[bytes]] = {}
        self._starts: dict[Path, int] = {}
        try:
            for path, shape in files.items():
                self._open(path, shape)
        except BaseException:
            self.close()
            raise

    def _open(self, path: Path, shape: tuple[int, int, int]) -> None:
        try:
            handle = self._handles[path] = path.open("r+b" if path.exists() else "w+b")
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(handle, header)
            self._starts[path] = handle.tell()
            handle.truncate(handle.tell() + int(np.prod(shape)))
        except OSError as error:
            raise cannot_write(path, error) from error

    def write(self, path: Path, first_row: int, images: np.ndarray) -> None:
        """Put uint8 `[n, size, size]` at row `first_row` and flush it to disk."""
        try:
            handle = self._handles[path]
            handle.seek(self._starts[path] + first_row * self._row_bytes[path])
            handle.write(images.tobytes())
            handle.flush()
            os.fsync(handle.fileno())
        except OSError as error:
            raise cannot_write(path, error) from error

    def close(self) -> None:
        """Close the files; what a full disk still held back was already reported by `write`."""
        for handle in self._handles.values():
            with suppress(OSError):
                handle.close()


def read_journal(folder: Path) -> dict[str, dict[str, Any]]:
    """Scan to its journal entry. A last line that was cut off by a crash does not count."""
    path = folder / JOURNAL
    if not path.is_file():
        return {}
    entries = {}
    for line in path.read_bytes().split(b"\n"):
        try:
            entry = json.loads(line)
            entries[entry["scan"]] = entry
        except (ValueError, KeyError, TypeError):
            continue
    return entries


def append_journal(folder: Path, entry: dict[str, Any]) -> None:
    """Note that a scan is done; its images are on disk by then.

    The line starts with a line break of its own, so that it survives after one that was cut off.
    """
    path = folder / JOURNAL
    try:
        with path.open("ab") as handle:
            handle.write(b"\n" + json.dumps(entry).encode())
            handle.flush()
            os.fsync(handle.fileno())
    except OSError as error:
        raise cannot_write(path, error) from error


def discard(folder: Path, arrays: list[Path]) -> None:
    """Remove everything that an unfinished preparation wrote."""
    for path in [*arrays, *(folder / name for name in (JOURNAL, PLAN, TABLE, BOXES, LOCK))]:
        _remove(path)
    with suppress(OSError):  # it may hold something that is not ours
        folder.rmdir()


def forget_progress(folder: Path) -> None:
    """Remove what only an unfinished preparation needs."""
    for name in (JOURNAL, PLAN):
        _remove(folder / name)


def _remove(path: Path) -> None:
    with suppress(OSError):  # a read-only file system: the plan still marks it unfinished
        path.unlink(missing_ok=True)
