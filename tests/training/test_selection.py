"""Learning rates by step; validation, the best weights, early stopping, and their resumption."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from pathogan_core.errors import PathoganError
from pathogan_core.training.checkpoint import load_tensors
from pathogan_core.training.log import read_log
from pathogan_core.training.loop import CHECKPOINT, LOG, Interrupted, LoopOptions, train
from pathogan_core.training.phases import Phase, Program, Turn
from pathogan_core.training.selection import Selection

EVERY_STEP = LoopOptions(tick_steps=4, checkpoint_seconds=0)


class Scalar(nn.Module):
    """One weight, from 0."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))


def climbing(
    target: float = 10.0,
    *,
    every: int = 3,
    begin: int = 0,
    patience: int = 0,
    noise: float = 0.0,
) -> Program:
    """The weight grows by 1 a step; its validation loss is its distance to `target`."""
    module = Scalar()

    def loss(turn: Turn):
        return -module.weight * (1 + noise * turn.randn(1).squeeze()), {}

    phase = Phase("T", "scalar", torch.optim.SGD(module.parameters(), 1.0), loss, images=1)
    selection = Selection(
        "scalar", module, every=every, begin=begin, patience=patience,
        measure=lambda scalar: {"loss": (scalar.weight - target).abs()},
    )  # fmt: skip
    return Program({"scalar": module}, [phase], selection=selection)


def lines(folder: Path) -> list[dict]:
    return [{k: v for k, v in line.items() if k != "seconds"} for line in read_log(folder / LOG)]


def interrupted_at(program: Program, step: int, folder: Path, steps: int) -> None:
    """Train `program` and send the signal that Slurm sends during `step`."""
    phase = program.phases[0]

    def loss(turn: Turn):
        if turn.step == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return phase.loss(turn)

    program.phases[0] = replace(phase, loss=loss)
    with pytest.raises(Interrupted):
        train(program, folder, steps=steps, seed=1, options=EVERY_STEP)


def test_learning_rate_is_that_of_the_step(tmp_path: Path) -> None:
    program = climbing()
    rates = [1.0, 0.5, 0.25, 8.0]
    program.phases[0] = replace(program.phases[0], learning_rate=lambda step: rates[step])
    train(program, tmp_path, steps=4, seed=0)
    assert program.modules["scalar"].weight.item() == sum(rates)


def test_learning_rate_goes_on_after_an_interruption(tmp_path: Path) -> None:
    def decaying() -> Program:
        program = climbing()
        program.phases[0] = replace(program.phases[0], learning_rate=lambda step: 2.0**-step)
        return program

    interrupted_at(decaying(), 2, tmp_path, steps=9)
    rest = decaying()
    train(rest, tmp_path, steps=9, seed=1)
    assert rest.modules["scalar"].weight.item() == 2 - 2.0**-8


def test_best_weights_are_those_of_the_lowest_validation_loss(tmp_path: Path) -> None:
    program = climbing(target=10)
    clock = train(program, tmp_path, steps=20, seed=0)
    assert clock.step == 20
    assert program.best("scalar").weight.item() == 9  # validated at 3, 6, 9, ... and at 20
    assert program.modules["scalar"].weight.item() == 20
    validated = {line["step"]: line["V/loss"] for line in lines(tmp_path) if "V/loss" in line}
    assert validated == {step: abs(step - 10) for step in (3, 6, 9, 12, 15, 18, 20)}


@pytest.mark.parametrize(("begin", "best"), [(0, 9), (9, 9), (10, 12), (16, 18), (50, 20)])
def test_nothing_is_best_before_the_window_begins(tmp_path: Path, begin: int, best: int) -> None:
    """The last step is validated however short the run."""
    program = climbing(target=10, begin=begin)
    train(program, tmp_path, steps=20, seed=0)
    assert program.best("scalar").weight.item() == best
    validated = [line["step"] for line in lines(tmp_path) if "V/loss" in line]
    assert validated == [step for step in (3, 6, 9, 12, 15, 18) if step >= begin] + [20]


def test_a_run_shorter_than_an_epoch_is_validated_at_its_end(tmp_path: Path) -> None:
    program = climbing(every=50)
    train(program, tmp_path, steps=7, seed=0)
    assert program.best("scalar").weight.item() == 7


@pytest.mark.parametrize(("patience", "stops_at"), [(1, 12), (2, 15), (3, 18), (0, 30)])
def test_stops_when_patience_ends_and_not_before(
    tmp_path: Path, patience: int, stops_at: int
) -> None:
    """The low is at step 9; one validation without a lower one is at 12."""
    program = climbing(target=10, patience=patience)
    assert train(program, tmp_path, steps=30, seed=0).step == stops_at
    assert program.best("scalar").weight.item() == 9
    again = climbing(target=10, patience=patience)
    assert train(again, tmp_path, steps=30, seed=0).step == stops_at
    assert again.best("scalar").weight.item() == 9


def test_an_equal_loss_is_no_new_low() -> None:
    selection = climbing(patience=2).selection
    assert selection is not None
    assert [selection.improved(losses) for losses in ([3], [3, 3], [3, 2], [])] == [1, 0, 1, 0]
    assert [selection.exhausted(losses) for losses in ([3, 3], [3, 3, 3], [3, 3, 2])] == [0, 1, 0]


@pytest.mark.parametrize("begin", [0, 7])
@pytest.mark.parametrize("stop_at", [0, 2, 3, 8, 9, 10, 13])
def test_interrupted_selection_equals_uninterrupted(
    tmp_path: Path, stop_at: int, begin: int
) -> None:
    """Steps 2, 8 end in a validation; 3, 9 follow one; patience ends at step 15."""
    arguments = {"target": 10, "begin": begin, "patience": 2, "noise": 0.3}
    whole, rest = climbing(**arguments), climbing(**arguments)
    ended = train(whole, tmp_path / "whole", steps=30, seed=1, options=EVERY_STEP)
    interrupted_at(climbing(**arguments), stop_at, tmp_path / "halves", steps=30)
    assert train(rest, tmp_path / "halves", steps=30, seed=1, options=EVERY_STEP).step == ended.step
    for name, module in whole.checkpointed.items():
        assert torch.equal(module.weight, rest.checkpointed[name].weight), name
    assert lines(tmp_path / "whole") == lines(tmp_path / "halves")


def test_validation_sees_the_module_in_evaluation_mode_and_gives_it_back(tmp_path: Path) -> None:
    program = climbing()
    seen = []

    def measure(module: nn.Module):
        seen.append((module.training, torch.is_grad_enabled()))
        return {"loss": torch.zeros(())}

    assert program.selection is not None
    program.selection.measure = measure
    program.modules["scalar"].train()
    train(program, tmp_path, steps=3, seed=0)
    assert seen == [(False, False)]
    assert program.modules["scalar"].training


def test_non_finite_validation_loss_is_one_line_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    train(climbing(), tmp_path, steps=3, seed=0)
    good, _ = load_tensors(tmp_path / CHECKPOINT)
    with pytest.raises(PathoganError, match="V/loss became nan by step 6"):
        train(climbing(target=float("nan")), tmp_path, steps=6, seed=0, options=EVERY_STEP)
    kept, _ = load_tensors(tmp_path / CHECKPOINT)
    # Saved until the step before; the best is still that of the last good validation.
    assert good.keys() == kept.keys()
    assert kept["module/scalar_best/weight"].item() == 3


def test_without_selection_nothing_is_validated(tmp_path: Path) -> None:
    program = replace(climbing(), selection=None)
    assert train(program, tmp_path, steps=8, seed=0, options=EVERY_STEP).step == 8
    assert [line["step"] for line in lines(tmp_path)] == [4, 8]
    assert not any("V/loss" in line for line in lines(tmp_path))
    assert set(program.checkpointed) == {"scalar"}
