"""What the chapters share: where runs are kept and trained, and cohorts cut to fewer patients."""

from __future__ import annotations

import torch

from pathogan_core.cohorts.prepared import PreparedSlices
from pathogan_core.errors import PathoganError
from pathogan_core.experiments.store import RunStore
from pathogan_core.files import sha256_of_value
from pathogan_core.places import runs_root
from pathogan_core.training.loop import LoopOptions


class Workplace:
    """Where a chapter's runs are kept and trained.

    Attributes:
        progress: show bars on standard error while something trains.
    """

    progress: bool

    @property
    def store(self) -> RunStore:
        """Where every step's result is found again."""
        return RunStore(runs_root())

    @property
    def device(self) -> torch.device:
        """Where networks are trained."""
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def loop_options(self, steps: int) -> LoopOptions:
        """A hundred log lines for each run."""
        return LoopOptions(
            device=self.device, tick_steps=max(1, steps // 100), progress=self.progress
        )


def with_fewer_patients(
    prepared: PreparedSlices, count: int, grade: str | None = None
) -> PreparedSlices:
    """All of validation and test, and the first `count` training patients by a hash of their names.

    More patients are always those of a smaller count and others.

    Args:
        grade: of the patients that are counted; all others stay. None: all are counted.
    """
    table = prepared.table
    training = (table["split"] == "train").to_numpy(bool)
    if grade is not None:
        training = training & (table["grade"] == grade).to_numpy(bool)
    names = sorted(set(table.loc[training, "patient"]), key=sha256_of_value)
    if count > len(names):
        raise PathoganError(
            f"is {count}, but only {len(names)} patients are trained on",
            where="train_patients",
            remedy="give fewer, or 0 for all",
        )
    chosen = ~training | table["patient"].isin(names[:count]).to_numpy(bool)
    return prepared.select(chosen, {"train_patients": count})
