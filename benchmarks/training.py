"""The cost of a training step: the real loop, on random images, past its warm-up."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.methods import METHODS, SEED
from benchmarks.rows import Row
from benchmarks.usage import Reading, now, peak_memory
from pathogan_core.training.loop import Clock, LoopOptions, train


@dataclass(frozen=True)
class TrainingCase:
    """One method at one size on one device.

    Args:
        method: a key of `methods.METHODS`.
        size: pixels.
        bf16: autocast to bfloat16; else fp32.
        device: ``cpu`` or ``cuda``.
        settings: of the method's configuration, besides size and precision.
        warmup: steps before the clock starts (memory pools, kernels chosen, caches).
        steps: steps that are timed.
        threads: PyTorch's, in the measuring process; None leaves its default.
    """

    method: str
    size: int
    bf16: bool
    device: str
    settings: dict[str, Any]
    warmup: int
    steps: int
    threads: int | None = None

    @property
    def name(self) -> str:
        """E.g. ``wgan 128 px bf16``."""
        return f"{self.method} {self.size} px {'bf16' if self.bf16 else 'fp32'}"

    def measure(self, read: Callable[[], Reading] = now) -> Row:
        """Train in a temporary folder; what lies between the warm-up and the last step counts.

        Log lines are counted as they are part of the loop; the checkpoint at the end is not.
        """
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        device = torch.device(self.device)
        on_cuda = device.type == "cuda"
        marks: list[tuple[int, int, Reading]] = []

        def mark(clock: Clock, line: dict[str, Any]) -> None:
            if on_cuda:
                torch.cuda.synchronize(device)
            marks.append((clock.step, clock.images, read()))

        settings = {**self.settings, "bf16": self.bf16}
        program = METHODS[self.method].build(self.size, settings, device)
        if on_cuda:
            torch.cuda.reset_peak_memory_stats(device)
        options = LoopOptions(
            device=device, tick_steps=self.warmup, checkpoint_seconds=math.inf, on_tick=mark
        )
        with TemporaryDirectory() as folder:
            train(program, Path(folder), steps=self.warmup + self.steps, seed=SEED, options=options)
        (first_step, first_images, begun), (last_step, last_images, ended) = marks[0], marks[-1]
        spent = ended - begun
        return Row(
            measured=self.name,
            on=with_threads(self.device),
            unit="step",
            units=last_step - first_step,
            wall_s=spent.wall_s,
            cpu_s=spent.cpu_s,
            peak_memory_bytes=peak_memory(),
            images=last_images - first_images,
            peak_device_bytes=torch.cuda.max_memory_allocated(device) if on_cuda else None,
        )


def with_threads(device: str) -> str:
    """E.g. ``cpu, 2 threads``."""
    threads = torch.get_num_threads()
    return f"{device}, {threads} thread{'s' if threads > 1 else ''}"
