"""Writing files so that a reader never meets half of one."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from pathogan_core.errors import PathoganError


@contextmanager
def atomic_write(path: str | Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary neighbour of `path`; on success flush it to disk and rename it into place.

    Whatever happens, `path` holds either its old content or the whole new content, and no
    temporary file stays behind. An `OSError` (full disk, read-only file system, no permission)
    becomes a `PathoganError`.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open(mode, encoding=None if "b" in mode else "utf-8") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):  # a read-only file system: nothing was written
            temporary.unlink(missing_ok=True)


def remove_partial_files(folder: Path) -> None:
    """Remove what a killed process' `atomic_write` left in `folder`; nobody else may be writing."""
    for leftover in folder.glob(".*.partial"):
        leftover.unlink(missing_ok=True)


def cannot_write(path: str | Path, error: OSError) -> PathoganError:
    """The error line for a failed write, naming the operating system's reason."""
    reason = error.strerror or str(error)
    return PathoganError(
        f"cannot be written ({reason})",
        where=path,
        remedy="free space or choose a writable folder, then run the same command again",
    )


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically. NaN and infinity are refused."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with atomic_write(path, "w") as handle:
        handle.write(text)


def read_json(path: str | Path) -> Any:
    """Read JSON; a missing or damaged file is a `PathoganError`."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        raise PathoganError(reason, where=path, remedy="check the path") from error
    except ValueError as error:
        raise PathoganError(
            "is not valid JSON", where=path, remedy="delete it and make it again"
        ) from error


def sha256_of_file(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes, read in blocks."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sha256_of_value(value: Any) -> str:
    """Hexadecimal SHA-256 of a JSON-able value, independent of key order."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
