"""The training loop, written once for every model.

    for each step:  for each phase, as often as it is due:  freeze others - loss - backward -
                    average gradients - optimiser - after
                    restarts - moving averages - validation - tick - checkpoint

A step is one round of all phases. For WGAN it is one generator update with its critic updates.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from pathogan_core.errors import PathoganError
from pathogan_core.files import remove_partial_files
from pathogan_core.training.checkpoint import load_tensors, pack, save_tensors, unpack
from pathogan_core.training.distribution import Distribution
from pathogan_core.training.log import TickLog
from pathogan_core.training.phases import Phase, Program, Turn
from pathogan_core.training.randomness import generator_for
from pathogan_core.training.selection import VALIDATION, Selection

CHECKPOINT = "checkpoint.safetensors"
LOG = "log.jsonl"


@dataclass
class Clock:
    """How far a run is."""

    step: int = 0
    images: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class LoopOptions:
    """What may differ between two runs of one configuration without changing its identity.

    Args:
        device: where the program's modules live.
        tick_steps: steps a log line averages over.
        checkpoint_seconds: time between checkpoints; one is written on a signal and at the end too.
        progress: show a bar on standard error.
        on_tick: called after each tick on the first rank with the clock and the log line.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    tick_steps: int = 50
    checkpoint_seconds: float = 60.0
    progress: bool = False
    on_tick: Callable[[Clock, dict[str, Any]], None] | None = None


class Interrupted(PathoganError):
    """A signal asked the run to stop; its state is saved and the same call goes on from there."""


def train(
    program: Program,
    folder: Path,
    *,
    steps: int,
    seed: int,
    options: LoopOptions | None = None,
    distribution: Distribution | None = None,
) -> Clock:
    """Train `program` until `steps` rounds are done, resuming from `folder` if it was begun there.

    A program with a `selection` may end earlier: the clock that comes back says at which step.

    On one machine with an equal number of threads, a run that was killed at any moment and
    called again ends with bit-identical weights.

    Args:
        program: freshly built (its initial weights are a function of the configuration).
        folder: holds ``checkpoint.safetensors`` and ``log.jsonl``.
        steps: total number of rounds, not the number still to do.
        seed: every draw is a function of (seed, phase, step, repetition).

    Raises:
        Interrupted: on SIGTERM, SIGUSR1 (what Slurm sends first) or SIGINT, once saved.
        PathoganError: a loss stopped being finite, a file cannot be written, or the checkpoint is
            damaged or of another configuration.
    """
    options, distribution = options or LoopOptions(), distribution or Distribution()
    folder.mkdir(parents=True, exist_ok=True)
    clock, log = Clock(), TickLog(folder / LOG, distribution)
    if distribution.is_first:
        remove_partial_files(folder)
    _resume(program, folder, clock, log, options.device)
    started, saved = time.monotonic() - clock.seconds, time.monotonic()
    hidden = not (options.progress and distribution.is_first)
    bar = tqdm(total=steps, initial=clock.step, unit="step", leave=False, disable=hidden)
    selection = program.selection
    finished = clock.step >= steps or _is_exhausted(selection, log, distribution)
    with _stop_signals() as stop, bar:
        while not finished:
            _round(program, clock, log, seed, options, distribution)
            clock.seconds = time.monotonic() - started
            bar.update()
            last = clock.step == steps
            due = selection if selection and (last or selection.is_due(clock.step)) else None
            if due:
                log.add(VALIDATION, due.validate(program.modules[due.of]))
            ends_tick = last or due is not None or clock.step % options.tick_steps == 0
            if ends_tick:
                _tick(clock, log, options, distribution)
            if due:
                _keep_if_best(due, program, log, distribution)
            finished = last or _is_exhausted(due, log, distribution)
            # Ranks meet signals and clocks at different steps; they agree on them at ticks only.
            agreeing = ends_tick or distribution.world == 1
            stopping = agreeing and distribution.any(stop.is_set())
            waited = time.monotonic() - saved >= options.checkpoint_seconds
            if stopping or finished or (agreeing and distribution.any(waited)):
                _save(program, folder, clock, log, distribution)
                saved = time.monotonic()
            if stopping and not finished:
                raise Interrupted(
                    f"stopped at step {clock.step} of {steps}, its state is saved",
                    where=folder,
                    remedy="run the same again to go on from there",
                )
    return clock


def _round(
    program: Program,
    clock: Clock,
    log: TickLog,
    seed: int,
    options: LoopOptions,
    distribution: Distribution,
) -> None:
    """One step: every phase as often as it is due, restarts, then the moving averages."""
    images_before = clock.images
    for phase in program.phases:
        for name, module in program.modules.items():
            module.requires_grad_(name == phase.trains)
        for repetition in range(phase.times(clock.step)):
            keys = (phase.name, clock.step, repetition)
            generator = generator_for(seed, *keys, device=options.device)
            turn = Turn(clock.step, repetition, images_before, generator, distribution)
            log.add(phase.name, _update(phase, program, turn, options.device))
            clock.images += phase.consumes(images_before)
    clock.step += 1
    for phase in program.phases:
        if phase.restarts and phase.restarts(images_before, clock.images):
            phase.optimizer.state.clear()
    for name, average in program.averages.items():
        average.update(program.modules[name], clock.images - images_before)


def _update(phase: Phase, program: Program, turn: Turn, device: torch.device) -> dict[str, Any]:
    """Loss, gradients, optimiser: the only place where weights change."""
    if phase.learning_rate:
        for group in phase.optimizer.param_groups:
            group["lr"] = phase.learning_rate(turn.step)
    phase.optimizer.zero_grad(set_to_none=True)
    with torch.autocast(device.type, torch.bfloat16, enabled=program.bf16):
        loss, scalars = phase.loss(turn)
    loss.backward()
    turn.distribution.average_gradients(program.modules[phase.trains])
    phase.optimizer.step()
    if phase.after:
        phase.after()
    return {"loss": loss, **scalars}


def _keep_if_best(
    selection: Selection, program: Program, log: TickLog, distribution: Distribution
) -> None:
    """Copy the weights if the log's last validation is its best."""
    losses = log.history(selection.key) if distribution.is_first else []
    if distribution.any(selection.improved(losses)):
        selection.keep(program.modules[selection.of])


def _is_exhausted(selection: Selection | None, log: TickLog, distribution: Distribution) -> bool:
    """Whether the log says that patience is at its end: also of a run that is called again."""
    if selection is None:
        return False
    losses = log.history(selection.key) if distribution.is_first else []
    return distribution.any(selection.exhausted(losses))


def _tick(clock: Clock, log: TickLog, options: LoopOptions, distribution: Distribution) -> None:
    times = {"step": clock.step, "images": clock.images, "seconds": round(clock.seconds, 3)}
    line = log.tick(times)
    if options.on_tick and distribution.is_first:
        options.on_tick(clock, line)


def _save(
    program: Program, folder: Path, clock: Clock, log: TickLog, distribution: Distribution
) -> None:
    """Write the whole state, unless it is spoilt: a non-finite loss never overwrites a good one."""
    log.means(clock.step)
    state = {"clock": asdict(clock), "log": log.state()}
    if distribution.is_first:
        save_tensors(folder / CHECKPOINT, pack(program.checkpointed, program.optimizers), state)


def _resume(
    program: Program, folder: Path, clock: Clock, log: TickLog, device: torch.device
) -> None:
    """Load the checkpoint if there is one; otherwise start with an empty log."""
    path = folder / CHECKPOINT
    state: dict[str, Any] = {"clock": {}, "log": TickLog.EMPTY}
    if path.exists():
        tensors, state = load_tensors(path)
        unpack(path, tensors, program.checkpointed, program.optimizers)
    for name, value in state["clock"].items():
        setattr(clock, name, value)
    log.restore(state["log"], device)


@contextlib.contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Turn SIGTERM, SIGUSR1 and SIGINT into an event, so that a step is never torn in two.

    Handlers can only be set in the main thread; elsewhere signals keep their usual meaning.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    signals = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
    previous = {number: signal.signal(number, lambda *_: stop.set()) for number in signals}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
