"""Data parallelism without wrappers: equal replicas, one gradient average per phase.

DistributedDataParallel hooks into a forward and expects one backward for it; a discriminator step
runs two forwards (real and generated). Averaging the finished gradients in one flat all-reduce
has no such expectation, and reads as what it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pathogan_core.errors import PathoganError


@dataclass(frozen=True)
class Distribution:
    """This process' place among its equals: `rank` of `world`."""

    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    @classmethod
    def from_environment(cls) -> Distribution:
        """Join the process group that `torchrun` describes; a single process needs none."""
        world = int(os.environ.get("WORLD_SIZE", "1"))
        if world == 1:
            return cls()
        if not torch.distributed.is_initialized():
            backend = "nccl" if torch.cuda.is_available() else "gloo"
            if backend == "nccl":
                torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
            torch.distributed.init_process_group(backend)
        return cls(torch.distributed.get_rank(), world)

    def share(self, whole_batch: Tensor) -> Tensor:
        """This rank's part of a batch that every rank has drawn alike.

        Drawing the whole batch everywhere (latents and indices are small) makes a run on two ranks
        the same run as on one: rank r holds samples r, r + world, r + 2 world, ...
        """
        return whole_batch if self.world == 1 else whole_batch[self.rank :: self.world]

    def check_batch(self, batch_size: int) -> None:
        """Refuse a batch that the ranks cannot share evenly: its mean would weigh samples apart."""
        if batch_size % self.world:
            raise PathoganError(
                f"a batch of {batch_size} cannot be shared by {self.world} processes",
                where="batch_size",
                remedy="make it a multiple of the number of processes",
            )

    def average_gradients(self, module: nn.Module) -> None:
        """Replace each gradient of `module` by its mean over ranks, in one flat all-reduce."""
        if self.world == 1:
            return
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        torch.distributed.all_reduce(flat)
        flat /= self.world
        sizes = [gradient.numel() for gradient in gradients]
        for gradient, mean in zip(gradients, flat.split(sizes), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def any(self, flag: bool) -> bool:
        """Whether `flag` is set on any rank (a signal reaches the ranks at different steps)."""
        if self.world == 1:
            return flag
        device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
        total = torch.tensor(int(flag), device=device)
        torch.distributed.all_reduce(total)
        return bool(total.item())

    def mean(self, values: Iterable[Tensor]) -> list[Tensor]:
        """Mean over ranks of scalars, for the log."""
        stacked = torch.stack([value.detach().float() for value in values])
        if self.world > 1:
            torch.distributed.all_reduce(stacked)
            stacked /= self.world
        return list(stacked)
