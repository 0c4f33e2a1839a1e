"""Images that a model made, stored once for all that use them: a run whose result is a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from pathogan_core.errors import PathoganError
from pathogan_core.experiments.store import Outcome, Run
from pathogan_core.files import atomic_write

IMAGES = "images.npy"
AT_ONCE = 512  # images: bounds memory whatever a pool's size


def storing(
    parts: Callable[[], Iterable[np.ndarray]], shape: tuple[int, int, int]
) -> Callable[[Path], Outcome]:
    """What makes a pool of `shape` out of uint8 `parts`: for `RunStore.train_or_load`."""

    def store(folder: Path) -> Outcome:
        started = time.monotonic()
        layout = {"descr": "|u1", "fortran_order": False, "shape": shape}
        with atomic_write(folder / IMAGES) as handle:
            np.lib.format.write_array_header_1_0(handle, layout)
            for part in parts():
                handle.write(part.tobytes())
        return Outcome(steps=0, images_seen=0, wall_s=time.monotonic() - started)

    return store


def images_of(pool: Run) -> np.ndarray:
    """A pool's images, uint8 ``[N, S, S]``, mapped from disk and read-only.

    Raises:
        PathoganError: the file is missing or damaged.
    """
    path = pool.folder / IMAGES
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        remedy = f"delete the folder {pool.folder.name} to make it again"
        raise PathoganError("is no readable array", where=path, remedy=remedy) from error


def made_by(run: Run) -> dict[str, Any]:
    """An entry of a record's inputs: another run, and what data that one rests on."""
    first = next(iter(run.record.inputs.values()))
    return {"fingerprint": run.record.run, "cohort": first["cohort"], "source": first["source"]}
