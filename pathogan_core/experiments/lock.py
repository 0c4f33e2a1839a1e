"""One process at a time in a run's folder, on one machine or on several that share a disk.

The lock is a file that only one process can create. Its holder touches it at intervals; whoever
meets it waits until it is gone or stale. To remove a lock is to rename it to a name of one's own
(a *displaced* lock), look at what one holds, and delete it or put it back. A new lock counts only
if no displaced lock is alive, so a waiter that displaced a live lock by mistake lets nobody in.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from pathogan_core.files import cannot_write

LOCK = "run.lock"


@dataclass(frozen=True)
class Held:
    """A lock that this process has taken."""

    path: Path
    token: str

    def is_ours(self) -> bool:
        """Whether it is still ours: a process that was suspended for long may have lost it."""
        for _ in range(10):  # a waiter's mistaken removal, soon put back, looks like a loss
            found = _read(self.path)
            if found is not None:
                return found.token == self.token
            time.sleep(0.05)
        return False


@dataclass(frozen=True)
class _Found:
    """What a lock file says; empty strings while its creator has not written it yet."""

    host: str
    pid: int
    token: str
    touched: float


@contextmanager
def run_lock(
    folder: Path,
    heartbeat_seconds: float = 10,
    stale_seconds: float = 60,
    poll_seconds: float = 1,
) -> Iterator[Held]:
    """Hold `folder`'s lock, waiting for another holder to release it or to be gone.

    Args:
        folder: created if missing.
        heartbeat_seconds: time between two touches of the lock by its holder.
        stale_seconds: a lock untouched for longer is taken over; so is, at once, one whose process
            on this machine is dead.
        poll_seconds: time between two looks of a waiter.

    Raises:
        PathoganError: the folder cannot be written.
    """
    path, token = folder / LOCK, uuid4().hex
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while not _create(path, token, stale_seconds):
            if not _remove_stale(path, stale_seconds):
                time.sleep(poll_seconds)
    except OSError as error:
        raise cannot_write(path, error) from error
    stop = threading.Event()
    beat = threading.Thread(
        target=_heartbeat, args=(Held(path, token), heartbeat_seconds, stop), daemon=True
    )
    beat.start()
    try:
        yield Held(path, token)
    finally:
        stop.set()
        beat.join()
        with suppress(OSError):  # a full or lost disk must not hide what happened inside
            _remove(path, lambda _, found: found.token == token, stale_seconds)


def _create(path: Path, token: str, stale_seconds: float) -> bool:
    """Create the lock, unless there is one or a live one is displaced at this moment."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            json.dump({"host": _host(), "pid": os.getpid(), "token": token}, handle)
    except OSError:  # a full disk: an empty lock would keep the next call waiting
        path.unlink(missing_ok=True)
        raise
    for displaced in path.parent.glob(f"{path.name}.*"):
        found = _read(displaced)
        if found is not None and not _is_stale(displaced, found, stale_seconds):
            _remove(path, lambda _, found: found.token == token, stale_seconds)
            return False
    return True


def _remove_stale(path: Path, stale_seconds: float) -> bool:
    """Remove a stale lock; true if there is now a chance to create one."""
    judged = _read(path)
    if judged is None:
        return False  # just released, or put back in a moment
    if not _is_stale(path, judged, stale_seconds):
        return False

    def still_stale(displaced: Path, found: _Found) -> bool:
        return found.token == judged.token and _is_stale(displaced, found, stale_seconds)

    return _remove(path, still_stale, stale_seconds)


def _remove(path: Path, is_meant: Callable[[Path, _Found], bool], stale_seconds: float) -> bool:
    """Displace the lock, and delete it if it is the one meant, else put it back."""
    displaced = path.with_name(f"{path.name}.{uuid4().hex}")
    try:
        path.rename(displaced)
    except FileNotFoundError:
        return False
    found = _read(displaced)
    meant = found is None or is_meant(displaced, found)
    while not meant and found is not None and not _is_stale(displaced, found, stale_seconds):
        try:
            os.link(displaced, path)  # unlike a rename it never overwrites
            break
        except FileExistsError:  # a newcomer, who sees the displaced lock and withdraws
            time.sleep(0.01)
    displaced.unlink(missing_ok=True)
    return meant


def _is_dead(found: _Found) -> bool:
    """The lock's process ran here and is gone."""
    if found.host != _host():
        return False
    try:
        os.kill(found.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # alive, another user's
        return False
    return False


def _is_stale(path: Path, found: _Found, stale_seconds: float) -> bool:
    return _is_dead(found) or _now_on_disk(path.parent) - found.touched > stale_seconds


def _now_on_disk(folder: Path) -> float:
    """The time by the clock that stamps files there: a file server's may differ from ours."""
    probe = folder / f".clock.{uuid4().hex}"
    probe.touch()
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink()


def _read(path: Path) -> _Found | None:
    try:
        # Opening makes a network file system ask for the present time stamp.
        with path.open(encoding="utf-8") as handle:
            text, touched = handle.read(), os.fstat(handle.fileno()).st_mtime
    except FileNotFoundError:
        return None
    try:
        said = json.loads(text)
        return _Found(str(said["host"]), int(said["pid"]), str(said["token"]), touched)
    except (ValueError, KeyError, TypeError):
        return _Found("", 0, "", touched)


def _host() -> str:
    """Machine and process namespace: two containers of one name do not see each other's pids."""
    namespace = ""
    with suppress(OSError):
        namespace = str(Path("/proc/self/ns/pid").readlink())
    return f"{socket.gethostname()} {namespace}".strip()


def _heartbeat(held: Held, seconds: float, stop: threading.Event) -> None:
    while not stop.wait(seconds):
        with suppress(OSError):
            found = _read(held.path)
            if found is not None and found.token == held.token:
                os.utime(held.path)
