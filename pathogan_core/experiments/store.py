"""The run store: a configuration is trained once and found again by what determines its result."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch

from pathogan_core.errors import PathoganError
from pathogan_core.experiments.lock import run_lock
from pathogan_core.experiments.records import Record, environment, read_record
from pathogan_core.files import read_json, sha256_of_value, write_json
from pathogan_core.training.checkpoint import load_tensors
from pathogan_core.training.log import read_log
from pathogan_core.training.loop import CHECKPOINT, LOG

CONFIG = "config.json"
RECORD = "record.json"
GENERATOR = "generator.safetensors"
IDENTITY_DIGITS = 12
_NPZ_ERRORS = (OSError, EOFError, ValueError, KeyError, RuntimeError, BadZipFile, zlib.error)
"""What numpy lets through of a damaged file, depending on which byte is wrong."""


@dataclass(frozen=True)
class RunSpec:
    """What to train.

    Args:
        chapter, setup: where the thesis has it, e.g. "ch3", "wgan-t1c-128"; not part of identity.
        method: e.g. "wgan".
        revision: raised when a change of code changes the method's results.
        config: everything else that changes the result; JSON-able.
        inputs: by name, as in a record; of each only its "fingerprint" is part of the identity.
        scale: name of the preset that `config` was made from; not part of the identity.
        seed: of every draw.
    """

    chapter: str
    setup: str
    method: str
    revision: int
    config: dict[str, Any]
    inputs: dict[str, dict[str, Any]]
    scale: str
    seed: int

    @cached_property
    def determining(self) -> dict[str, Any]:
        """What determines the result, as JSON has it (tuples are lists)."""
        values = _determining(self)
        try:
            return json.loads(json.dumps(values, allow_nan=False))
        except ValueError as error:
            problem = "holds a number that is not finite"
            raise PathoganError(problem, where=f"configuration of {self.setup}") from error

    @property
    def identity(self) -> str:
        """12 hexadecimal digits."""
        return sha256_of_value(self.determining)[:IDENTITY_DIGITS]

    @property
    def folder_name(self) -> str:
        """``<method>-<identity>``."""
        return f"{self.method}-{self.identity}"


@dataclass(frozen=True)
class Outcome:
    """What a training hands back; the counts are as in a record."""

    steps: int
    images_seen: int
    wall_s: float
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


@dataclass(frozen=True)
class Measurement:
    """How a finished run is measured.

    It is no part of the run's identity: with a new measure, or a new feature network, a run is
    measured again and not trained again.

    Args:
        measured_with: what the metrics rest on besides the run; JSON-able, as in a record.
        measure: gets the finished run and returns a record's `metrics`.
    """

    measured_with: dict[str, Any]
    measure: Callable[[Run], dict[str, dict[str, Any]]]


@dataclass(frozen=True)
class Run:
    """A finished run: its folder and its record."""

    folder: Path
    record: Record

    def load_tensors(self, name: str = GENERATOR) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Tensors and header of a safetensors file of the run.

        Raises:
            PathoganError: missing, damaged, or pickled.
        """
        return load_tensors(self.folder / name)

    def arrays(self, name: str, *needed: str) -> dict[str, np.ndarray]:
        """The arrays that are needed of an npz file of the run, or all, by their names.

        Raises:
            PathoganError: missing, damaged, pickled, or without one that is needed.
        """
        path = self.folder / name
        try:
            with np.load(path, allow_pickle=False) as held:
                return {key: held[key] for key in needed or held.files}
        except _NPZ_ERRORS as error:
            raise PathoganError(
                "holds no readable arrays", where=path, remedy=_delete(self.folder)
            ) from error

    def log(self) -> list[dict[str, Any]]:
        """The training log's lines, oldest first.

        Raises:
            PathoganError: missing or damaged.
        """
        path = self.folder / LOG
        try:
            return read_log(path)
        except (OSError, ValueError) as error:
            raise PathoganError(
                "is no readable training log", where=path, remedy=_delete(self.folder)
            ) from error


class RunStore:
    """The runs below one folder (`places.runs_root()` by default for the command line)."""

    def __init__(self, root: str | Path):
        self.root = Path(root)

    def folder(self, spec: RunSpec) -> Path:
        """Where the run of `spec` is or would be."""
        return self.root / spec.folder_name

    def find(self, spec: RunSpec) -> Run | None:
        """The finished run of `spec`, or None.

        Raises:
            PathoganError: its folder holds another configuration or a damaged record.
        """
        folder = self.folder(spec)
        if not (folder / RECORD).exists():
            return None
        run = open_run(folder)
        if _determining(run.record) != spec.determining:
            raise _other_configuration(folder / RECORD)
        if (folder / CONFIG).exists():
            _check_config(folder, spec)
        return run

    def train_or_load(self, spec: RunSpec, train: Callable[[Path], Outcome]) -> Run:
        """The finished run of `spec`: found, or made by `train`.

        A second process that asks for the same run meanwhile waits, then loads it. Over several
        ranks, call this on the first one only.

        Args:
            train: gets the run's folder, begins or resumes there, and leaves
                ``generator.safetensors`` and ``log.jsonl``. If it raises, no record is written and
                the next call goes on from its checkpoint.

        Raises:
            PathoganError: the folder is of another configuration, cannot be written, or was taken
                over by another process while this one was suspended.
        """
        if run := self.find(spec):
            return run
        folder = self.folder(spec)
        with run_lock(folder) as lock:
            if run := self.find(spec):  # made while this process waited
                return run
            if (folder / CONFIG).exists():
                _check_config(folder, spec)
            else:
                write_json(folder / CONFIG, spec.determining)
            outcome = train(folder)
            record = _record(spec, outcome)
            if not lock.is_ours():
                raise PathoganError(
                    "was taken over by another process while this one was suspended",
                    where=folder,
                    remedy="run the same command again: it waits for that process",
                )
            write_json(folder / RECORD, record.as_json())
            with suppress(OSError):  # only disk space: the record is what marks the run
                (folder / CHECKPOINT).unlink(missing_ok=True)
        return Run(folder, read_record(folder / RECORD))

    def measured(self, run: Run, measurement: Measurement) -> Run:
        """The run with its metrics: as they are, or new where they rest on something else."""
        if run.record.measured_with == measurement.measured_with:
            return run
        metrics = measurement.measure(run)
        record = replace(run.record, metrics=metrics, measured_with=measurement.measured_with)
        write_json(run.folder / RECORD, record.as_json())
        return Run(run.folder, read_record(run.folder / RECORD))


def finished_runs(root: str | Path) -> list[Path]:
    """Folders below `root` that hold a record, by name."""
    return sorted(path.parent for path in Path(root).glob(f"*/{RECORD}"))


def unfinished_runs(root: str | Path) -> list[Path]:
    """Folders of runs that were begun and have no record yet, by name."""
    begun = sorted(path.parent for path in Path(root).glob(f"*/{CONFIG}"))
    return [folder for folder in begun if not (folder / RECORD).exists()]


def open_run(folder: Path) -> Run:
    """The finished run in a folder of the store.

    Raises:
        PathoganError: its record is missing, damaged, or lies in another run's folder.
    """
    record = read_record(folder / RECORD)
    if record.run != folder.name:
        raise _other_configuration(folder / RECORD)
    return Run(folder, record)


def _determining(source: RunSpec | Record) -> dict[str, Any]:
    """Method, revision, configuration, seed and the inputs' fingerprints."""
    return {
        "method": source.method,
        "revision": source.revision,
        "config": source.config,
        "seed": source.seed,
        "inputs": {name: given.get("fingerprint") for name, given in source.inputs.items()},
    }


def _record(spec: RunSpec, outcome: Outcome) -> Record:
    results = asdict(outcome)
    device = results.pop("device")
    values = {name: getattr(spec, name) for name in RunSpec.__dataclass_fields__}
    unmeasured: dict[str, Any] = {"metrics": {}, "measured_with": {}}
    return Record(run=spec.folder_name, **values, **unmeasured, **results, **environment(device))


def _check_config(folder: Path, spec: RunSpec) -> None:
    if read_json(folder / CONFIG) != spec.determining:
        raise _other_configuration(folder / CONFIG)


def _other_configuration(path: Path) -> PathoganError:
    return PathoganError(
        "is of another configuration than its folder's name says",
        where=path,
        remedy=_delete(path.parent),
    )


def _delete(folder: Path) -> str:
    return f"delete the folder {folder.name} to train it again, or restore it from a copy"
