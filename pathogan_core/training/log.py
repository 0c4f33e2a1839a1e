"""The training log: means over a tick, kept on the device until the tick ends."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from pathogan_core.errors import PathoganError
from pathogan_core.files import cannot_write
from pathogan_core.training.distribution import Distribution


class TickLog:
    """Accumulates scalars without a device synchronisation and writes one JSON line a tick.

    Its state (open sums and the log's length in bytes) goes into the checkpoint, so that a resumed
    run's log is the uninterrupted run's log.
    """

    EMPTY: ClassVar[dict[str, Any]] = {"sums": {}, "counts": {}, "bytes": 0}

    def __init__(self, path: Path, distribution: Distribution):
        self.path = path
        self.distribution = distribution
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._bytes = 0

    def add(self, phase: str, scalars: Mapping[str, Tensor]) -> None:
        """Add 0-d tensors under ``phase/name``."""
        for name, value in scalars.items():
            key, value = f"{phase}/{name}", value.detach().float()
            self._sums[key] = self._sums[key] + value if key in self._sums else value
            self._counts[key] = self._counts.get(key, 0) + 1

    def means(self, step: int) -> dict[str, float]:
        """Means since the last tick, over ranks; reads the device.

        Raises:
            PathoganError: a mean is not finite.
        """
        sums = self.distribution.mean(self._sums.values()) if self._sums else []
        means = {k: s.item() / self._counts[k] for k, s in zip(self._sums, sums, strict=True)}
        for key, value in means.items():
            if not math.isfinite(value):
                raise PathoganError(
                    f"{key} became {value} by step {step}",
                    where=self.path.parent,
                    remedy="lower the learning rate; the last checkpoint is from before",
                )
        return means

    def tick(self, clock: Mapping[str, Any]) -> dict[str, Any]:
        """Write one line, ``{**clock, **means}``, and start the next tick."""
        line = {**clock, **self.means(clock["step"])}
        if self.distribution.is_first:
            encoded = (json.dumps(line) + "\n").encode()
            try:
                with self.path.open("ab") as handle:
                    handle.write(encoded)
            except OSError as error:
                raise cannot_write(self.path, error) from error
            self._bytes += len(encoded)
        self._sums, self._counts = {}, {}
        return line

    def history(self, key: str) -> list[float]:
        """Every value of `key` that was written, oldest first."""
        return [line[key] for line in read_log(self.path) if key in line]

    def state(self) -> dict[str, Any]:
        """The open tick, JSON-able; over ranks its sums are their mean, as in the log."""
        means = self.distribution.mean(self._sums.values()) if self._sums else []
        sums = {key: value.item() for key, value in zip(self._sums, means, strict=True)}
        return {"sums": sums, "counts": dict(self._counts), "bytes": self._bytes}

    def restore(self, state: dict[str, Any], device: torch.device) -> None:
        """Go back to `state`: lines written after it are cut off the file."""
        self._sums = {
            key: torch.tensor(value, device=device) for key, value in state["sums"].items()
        }
        self._counts, self._bytes = dict(state["counts"]), state["bytes"]
        if self.distribution.is_first:
            self.path.touch()
            with self.path.open("r+b") as handle:
                handle.truncate(self._bytes)


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a training log, oldest first."""
    with path.open(encoding="utf-8") as handle:
        return [json.loads(line) for line in handle]
