"""What a method hands to the loop: its networks and the phases that train them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pathogan_core.training.distribution import Distribution
from pathogan_core.training.ema import MovingAverage
from pathogan_core.training.selection import Selection

Loss = tuple[Tensor, Mapping[str, Tensor]]


@dataclass(frozen=True)
class Turn:
    """One execution of one phase: where the run stands, and the randomness that belongs there.

    Draws name the size of the *whole* batch and return this rank's share of it, so that a step
    function reads the same on one device and on eight, and means the same.

    `images` counts the real images consumed before this *round*: whatever is a function of it
    (level, alpha and batch size of a growing GAN) is the same for all phases of a round.
    """

    step: int
    repetition: int
    images: int
    generator: torch.Generator
    distribution: Distribution

    def randn(self, batch_size: int, *shape: int) -> Tensor:
        """Standard normal ``[share, *shape]``."""
        device = self.generator.device
        whole = torch.randn(batch_size, *shape, generator=self.generator, device=device)
        return self.distribution.share(whole)

    def rand(self, batch_size: int, *shape: int) -> Tensor:
        """Uniform on [0, 1), ``[share, *shape]``."""
        device = self.generator.device
        whole = torch.rand(batch_size, *shape, generator=self.generator, device=device)
        return self.distribution.share(whole)

    def indices(self, batch_size: int, population: int) -> Tensor:
        """Int64 ``[share]``, drawn with replacement from ``range(population)``."""
        whole = torch.randint(
            population, (batch_size,), generator=self.generator, device=self.generator.device
        )
        return self.distribution.share(whole)


@dataclass(frozen=True)
class Phase:
    """One kind of update.

    Args:
        name: appears in the log and seeds the phase's randomness.
        trains: key of the module that learns; every other module is frozen meanwhile.
        optimizer: steps that module's parameters.
        loss: ``(turn) -> (loss, scalars)``; the loop runs backward, averages gradients over ranks
            and steps. Scalars are 0-d tensors on the device, to be logged.
        times: how often the phase runs in a given step. A constant ratio (SimGAN's two refiner
            updates), a warm-up (WGAN's critic) and a lazy regulariser (``int(step % 16 == 0)``)
            are all this one function.
        images: real images that one execution consumes, over all ranks; the run's clock. A
            function of `Turn.images` where the batch size changes during a run.
        after: runs after the optimiser's step (WGAN clips its weights there).
        restarts: ``(images before, images after)`` a round: whether the optimiser forgets its
            moments after it (a growing GAN begins a new phase).
        learning_rate: the optimiser's rate in a given step, from 0; None leaves it as it was built.
            A function of the step needs no state, so a resumed run decays where it would have.
    """

    name: str
    trains: str
    optimizer: torch.optim.Optimizer
    loss: Callable[[Turn], Loss]
    times: Callable[[int], int] = lambda step: 1
    images: int | Callable[[int], int] = 0
    after: Callable[[], None] | None = None
    restarts: Callable[[int, int], bool] | None = None
    learning_rate: Callable[[int], float] | None = None

    def consumes(self, images: int) -> int:
        """Real images that one execution consumes in a round that begins after `images`."""
        return self.images(images) if callable(self.images) else self.images


@dataclass
class Program:
    """A method, ready to be trained: named modules, phases in order, averages by module name.

    With a `selection` the loop validates between steps, keeps the best weights, and may stop early.

    `bf16` runs loss functions under autocast to bfloat16 (no gradient scaler is needed). It is the
    method's to say, not the loop's: results differ in rounding.
    """

    modules: dict[str, nn.Module]
    phases: list[Phase]
    averages: dict[str, MovingAverage] = field(default_factory=dict)
    bf16: bool = False
    selection: Selection | None = None

    @property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {phase.name: phase.optimizer for phase in self.phases}

    @property
    def checkpointed(self) -> dict[str, nn.Module]:
        """Every module whose tensors are part of the run's state."""
        averages = {f"{name}_average": ema.module for name, ema in self.averages.items()}
        selected = {f"{self.selection.of}_best": self.selection.module} if self.selection else {}
        return {**self.modules, **averages, **selected}

    def best(self, name: str) -> nn.Module:
        """What to use: the validated best or the average of `name` if kept, else the module."""
        if self.selection and self.selection.of == name:
            return self.selection.module
        return self.averages[name].module if name in self.averages else self.modules[name]
