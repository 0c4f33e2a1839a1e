"""Validation between steps: which weights were best, and when to stop early."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

VALIDATION = "V"
"""What validation is called in the log, where phases have their names."""


class Selection:
    """A copy of a module as it was at its lowest validation loss; `module` is that copy.

    What is best and when to stop are functions of the losses in the log and of nothing else, and
    the copy lies in the checkpoint beside it: an interrupted run stops where it would have.

    Args:
        of: the program's name of the module that is validated.
        module: that module.
        every: steps between two validations; a run's last step is validated too.
        begin: the first step that may be validated. A run's last step is, however short the run.
        measure: ``(module in evaluation mode) -> scalars``, 0-d tensors, logged as ``V/<name>``.
        criterion: the scalar that is to be low.
        patience: validations in a row without a new low after which the run ends; 0 for never.
    """

    def __init__(
        self,
        of: str,
        module: nn.Module,
        *,
        every: int,
        begin: int = 0,
        measure: Callable[[nn.Module], Mapping[str, Tensor]],
        criterion: str = "loss",
        patience: int = 0,
    ):
        self.of, self.every, self.begin, self.measure = of, every, begin, measure
        self.key, self.patience = f"{VALIDATION}/{criterion}", patience
        self.module = copy.deepcopy(module).eval().requires_grad_(False)

    def is_due(self, step: int) -> bool:
        """Whether to validate when `step` steps are done."""
        return step >= self.begin and step % self.every == 0

    @torch.no_grad()
    def validate(self, module: nn.Module) -> Mapping[str, Tensor]:
        """The scalars of `module` as it is now; its mode is given back as it was."""
        was_training = module.training
        scalars = self.measure(module.eval())
        module.train(was_training)
        return scalars

    def improved(self, losses: Sequence[float]) -> bool:
        """Whether the last of `losses` is lower than all before it."""
        return bool(losses) and (len(losses) == 1 or losses[-1] < min(losses[:-1]))

    def exhausted(self, losses: Sequence[float]) -> bool:
        """Whether the lowest of `losses` is at least `patience` validations old."""
        if not self.patience or not losses:
            return False
        return len(losses) - 1 - losses.index(min(losses)) >= self.patience

    def keep(self, module: nn.Module) -> None:
        """Take over the weights and buffers of `module`."""
        self.module.load_state_dict(module.state_dict())
