"""Prepared slices as training and evaluation read them: needs numpy, pandas and pyarrow only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pathogan_core.cohorts.cases import SEQUENCES
from pathogan_core.cohorts.prepare_parameters import LESION
from pathogan_core.cohorts.splits import SPLITS
from pathogan_core.errors import PathoganError
from pathogan_core.files import read_json, sha256_of_file, sha256_of_value

INFO, TABLE, BOXES = "prepared.json", "slices.parquet", "boxes.parquet"
CONCAT = "concat"  # the thesis' pooled set: every sequence's images, one after another


class PreparedSlices:
    """A folder written by `prepare`: one 8-bit image per (scan, slice, sequence, size).

    Attributes:
        folder: where it lies.
        info: the content of `prepared.json`; `select` replaces the fingerprint by its own.
        table: one row per (scan, slice), in the arrays' row order; columns `patient`, `scan`,
            `grade`, `slice`, `split`, `brain_fraction` and `<tissue>_voxels`.
        rows: int64, the place of each of the table's rows in the arrays.
        sizes: image sizes in pixels.
        sequences: names that `images` takes, `concat` last; it pools all four sequences, so that a
            set without one of them has none.
    """

    def __init__(
        self,
        folder: Path,
        info: dict[str, Any],
        table: pd.DataFrame,
        rows: np.ndarray | None = None,
    ):
        self.folder, self.info, self.table = folder, info, table
        self.rows = np.arange(len(table)) if rows is None else rows
        self.sizes: tuple[int, ...] = tuple(info["parameters"]["sizes"])
        self._stored = _stored_sequences(info)
        self.sequences = (*self._stored, CONCAT) if self._stored == SEQUENCES else self._stored

    @classmethod
    def open(cls, folder: str | Path) -> PreparedSlices:
        """Open a finished folder and hold its files against `prepared.json`.

        Raises:
            PathoganError: if there is none, it is unfinished, or a file is missing or of another
                shape than recorded.
        """
        folder = Path(folder)
        if not (folder / INFO).is_file():
            raise _not_prepared(folder)
        info = read_json(folder / INFO)
        try:
            table = pd.read_parquet(folder / TABLE)
            rows, sizes = info["slices"], info["parameters"]["sizes"]
            files = array_files(folder, sizes, _stored_arrays(info))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _damaged(folder, f"cannot be read ({error})") from error
        if len(table) != rows:
            raise _damaged(folder / TABLE, f"has {len(table)} rows instead of {rows}")
        for path, size in files.items():
            _map(path, (rows, size, size))
        return cls(folder, info, table)

    @property
    def fingerprint(self) -> str:
        """What the arrays mean; equal on every machine."""
        return self.info["fingerprint"]

    @property
    def source(self) -> str:
        """`simulated` or `real`."""
        return self.info["source"]

    def images(self, sequence: str, size: int, split: str | None = None) -> np.ndarray:
        """uint8 `[N, size, size]` in memory: one sequence, or all of them stacked for `concat`.

        Rows follow `table` (for `concat`: T1's rows, then T1c's, T2's and FLAIR's).

        Raises:
            PathoganError: for a sequence, size or split that this folder does not hold.
        """
        rows = self.rows[self._in_split(split)]
        parts = self._parts(sequence)
        images = np.empty((len(parts) * len(rows), size, size), np.uint8)
        for i, part in enumerate(parts):
            place = images[i * len(rows) : (i + 1) * len(rows)]
            np.take(self.memmap(part, size), rows, axis=0, out=place)
        return images

    def memmap(self, sequence: str, size: int) -> np.ndarray:
        """All images of one sequence as they lie on disk, read-only and not in memory.

        Of a selection, too, these are all of the folder's images: `rows` says which are meant.
        """
        if size not in self.sizes:
            raise self._not_held("size", size, self.sizes)
        arrays = _stored_arrays(self.info)
        if sequence not in arrays:
            raise self._not_held("sequence", sequence, arrays)
        rows = self.info["slices"]
        return _map(self.folder / f"{sequence}_{size}.npy", (rows, size, size))

    def select(self, chosen: np.ndarray, selection: Mapping[str, Any]) -> PreparedSlices:
        """Some of the slices, as a set of their own on the same files.

        Args:
            chosen: bool `[len(table)]`.
            selection: how they were chosen, as JSON has it. It enters the fingerprint, so that runs
                on two selections are two runs.

        Raises:
            PathoganError: if nothing is chosen.
        """
        if not chosen.any():
            told = ", ".join(f"{name} {value}" for name, value in selection.items())
            raise PathoganError(
                f"holds no slice with {told}",
                where=self.folder,
                remedy="prepare more scans or choose otherwise",
            )
        meaning = {"of": self.fingerprint, "selection": dict(selection)}
        info = {**self.info, "fingerprint": sha256_of_value(meaning)}
        table = self.table[chosen].reset_index(drop=True)
        return PreparedSlices(self.folder, info, table, self.rows[chosen])

    def patients_of(self, sequence: str, split: str | None = None) -> np.ndarray:
        """The patient of each image of `images(sequence, ..., split)`."""
        patients = self.table["patient"].to_numpy(str)[self._in_split(split)]
        return np.tile(patients, len(self._parts(sequence)))

    def sequence_of(self, sequence: str, split: str | None = None) -> np.ndarray:
        """The sequence of each image of `images(sequence, ..., split)`."""
        return np.repeat(np.array(self._parts(sequence)), int(self._in_split(split).sum()))

    def provenance(self, sequence: str, size: int, split: str | None = None) -> dict[str, Any]:
        """What a record says about these images: an entry of its `inputs`."""
        if size not in self.sizes:
            raise self._not_held("size", size, self.sizes)
        patients = self.patients_of(sequence, split)
        named = ("cohort", "source", "fingerprint", "content_sha256", "manifest_sha256")
        return {
            **{key: self.info[key] for key in named},
            "patients": len(np.unique(patients)),
            "images": len(patients),
        }

    def verify(self) -> None:
        """Read every byte and compare with `content_sha256`; raises `PathoganError` if changed."""
        files = array_files(self.folder, self.sizes, _stored_arrays(self.info))
        table, boxes = pd.read_parquet(self.folder / TABLE), None
        if (self.folder / BOXES).exists():
            boxes = pd.read_parquet(self.folder / BOXES)
        if content_sha256(files, table, boxes) != self.info["content_sha256"]:
            raise _damaged(self.folder, "has changed since it was prepared")

    def rows_of(self, split: str | None = None) -> np.ndarray:
        """int64, the places in the arrays of the images of a split, or of all."""
        return self.rows[self._in_split(split)]

    def _parts(self, sequence: str) -> tuple[str, ...]:
        if sequence not in self.sequences:
            raise self._not_held("sequence", sequence, self.sequences)
        return self._stored if sequence == CONCAT else (sequence,)

    def _in_split(self, split: str | None) -> np.ndarray:
        if split is None:
            return np.ones(len(self.table), bool)
        if split not in SPLITS:
            raise self._not_held("split", split, SPLITS)
        return (self.table["split"] == split).to_numpy(bool)

    def _not_held(self, what: str, value: object, held: tuple[Any, ...]) -> PathoganError:
        return PathoganError(
            f"holds no {what} {value!r}",
            where=self.folder,
            remedy=f"choose one of {', '.join(map(str, held))}",
        )


def array_files(folder: Path, sizes: Sequence[int], sequences: Sequence[str]) -> dict[Path, int]:
    """The array files of a prepared folder, each with its image size."""
    return {folder / f"{name}_{size}.npy": size for name in sequences for size in sizes}


def content_sha256(
    files: Iterable[Path], table: pd.DataFrame, boxes: pd.DataFrame | None = None
) -> str:
    """Hash of the arrays' bytes and the tables' values (parquet's own bytes vary by version)."""
    arrays = {path.name: sha256_of_file(path) for path in files}
    content: dict[str, Any] = {"arrays": arrays, "table": table.to_dict(orient="list")}
    if boxes is not None:
        content["boxes"] = boxes.to_dict(orient="list")
    return sha256_of_value(content)


def _stored_sequences(info: Mapping[str, Any]) -> tuple[str, ...]:
    """As recorded; a set with all of them, as every early one, does not name them."""
    return tuple(info["parameters"].get("sequences", SEQUENCES))


def _stored_arrays(info: Mapping[str, Any]) -> tuple[str, ...]:
    lesions = (LESION,) if info["parameters"].get("lesion_tissues") else ()
    return (*_stored_sequences(info), *lesions)


def _map(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _damaged(path, f"cannot be read ({error})") from error
    if array.dtype != np.uint8 or array.shape != shape:
        found = f"{array.dtype} {'x'.join(map(str, array.shape))}"
        raise _damaged(path, f"is {found} instead of uint8 {'x'.join(map(str, shape))}")
    return array


def _damaged(where: Path, problem: str) -> PathoganError:
    return PathoganError(
        problem, where=where, remedy="delete the folder and run `pathogan cohorts prepare` again"
    )


def _not_prepared(folder: Path) -> PathoganError:
    if folder.is_dir() and any(folder.iterdir()):
        return PathoganError(
            f"is a half-written cache: it has no {INFO}",
            where=folder,
            remedy="run the same `pathogan cohorts prepare` again to finish it, or delete it",
        )
    return PathoganError(
        "holds no prepared slices",
        where=folder,
        remedy="make them with `pathogan cohorts prepare`",
    )
