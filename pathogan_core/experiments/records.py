"""The record of a finished run: what was trained, on what, with which result, and where."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from pathogan_core import __version__
from pathogan_core.errors import PathoganError
from pathogan_core.files import read_json

SCHEMA = 1
LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "torch-fidelity")

_KINDS: dict[str, Any] = {
    "str": str,
    "int": int,
    "float": (int, float),
    "dict[str, Any]": dict,
    "dict[str, str]": dict,
    "dict[str, dict[str, Any]]": dict,
}


@dataclass(frozen=True)
class Record:
    """``record.json`` of a run; ARCHITECTURE.md gives the keys of `inputs` and `metrics`.

    `measured_with` says what `metrics` rest on besides the run: held-out images, feature network;
    it is empty where nothing was measured. `wall_s` is training time in seconds over all sittings,
    `peak_memory_bytes` that of the last sitting, `finished` an ISO 8601 time in UTC.
    """

    run: str
    chapter: str
    setup: str
    method: str
    revision: int
    config: dict[str, Any]
    scale: str
    seed: int
    inputs: dict[str, dict[str, Any]]
    metrics: dict[str, dict[str, Any]]
    measured_with: dict[str, Any]
    steps: int
    images_seen: int
    wall_s: float
    peak_memory_bytes: int
    threads: int
    device: str
    code_version: str
    libraries: dict[str, str]
    finished: str

    def as_json(self) -> dict[str, Any]:
        """The record with its schema number, as it is written."""
        return {"schema": SCHEMA, **asdict(self)}


def read_record(path: str | Path) -> Record:
    """Read a ``record.json``.

    Raises:
        PathoganError: missing, not JSON, of another schema, or with a field missing, unknown or of
            a wrong type.
    """
    data = read_json(path)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        found = data.get("schema") if isinstance(data, dict) else None
        raise _refused(path, f"has schema {found!r}, not {SCHEMA}")
    values = {name: value for name, value in data.items() if name != "schema"}
    known = {field.name: str(field.type) for field in fields(Record)}
    if different := sorted(values.keys() ^ known.keys()):
        raise _refused(path, f"has missing or unknown fields: {', '.join(different)}")
    for name, kind in known.items():
        if not _is(values[name], kind):
            raise _refused(path, f"{name} is not of type {kind}")
    return Record(**values)


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool) or not isinstance(value, _KINDS[kind]):
        return False
    nested = kind == "dict[str, dict[str, Any]]"
    return not nested or all(isinstance(inner, dict) for inner in value.values())


def _refused(path: str | Path, problem: str) -> PathoganError:
    remedy = "use the version of the code that wrote it, or delete it to make the run again"
    return PathoganError(problem, where=path, remedy=remedy)


def environment(device: torch.device | str = "cpu") -> dict[str, Any]:
    """The record's fields that tell where a run was computed, as they stand now.

    Returns:
        `peak_memory_bytes` (of the CUDA device, else of the process), `threads`, `device`,
        `code_version`, `libraries` and `finished`.
    """
    device = torch.device(device)
    on_cuda = device.type == "cuda"
    name = f"{device.type} ({torch.cuda.get_device_name(device)})" if on_cuda else device.type
    memory = torch.cuda.max_memory_allocated(device) if on_cuda else _peak_process_memory()
    return {
        "peak_memory_bytes": memory,
        "threads": torch.get_num_threads(),
        "device": name,
        "code_version": code_version(),
        "libraries": _library_versions(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def code_version() -> str:
    """The package's version and, in a checkout, its commit: ``0.1.0+g1a2b3c4d5e6f[.dirty]``."""
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / ".git").exists():  # installed: a commit found above is another project's
        return __version__
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty=.dirty", "--abbrev=12"]
    try:
        done = subprocess.run(
            [*command, "--exclude=*"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):  # no git, or a folder it does not trust
        return __version__
    return f"{__version__}+g{done.stdout.strip()}"


def _library_versions() -> dict[str, str]:
    versions = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # a bare training machine has not all of them
            continue
    return versions


def _peak_process_memory() -> int:
    """Bytes; 0 where the operating system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
