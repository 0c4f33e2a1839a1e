"""The loop: who learns, exact resumption, signals, spoilt losses, ranks."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pathogan_core.errors import PathoganError
from pathogan_core.training.checkpoint import load_tensors
from pathogan_core.training.log import read_log
from pathogan_core.training.loop import CHECKPOINT, LOG, Interrupted, LoopOptions, train

sys.path.insert(0, str(Path(__file__).parent))
from toy import toy_program, weights

HERE = Path(__file__).parent
EVERY_TICK = LoopOptions(tick_steps=7, checkpoint_seconds=0)


def without_seconds(folder: Path) -> list[dict]:
    return [{k: v for k, v in line.items() if k != "seconds"} for line in read_log(folder / LOG)]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize(("phase", "moved"), [(0, "critic"), (1, "generator")])
def test_a_phase_moves_its_own_network_and_no_other(tmp_path, phase, moved):
    program = toy_program()
    before = weights(program)
    program.phases = [program.phases[phase]]
    program.averages = {}
    train(program, tmp_path, steps=1, seed=0)
    after = weights(program)
    changed = {name.split(".")[0] for name in after if not torch.equal(before[name], after[name])}
    assert changed == {moved}


def test_clock_counts_images_of_repeated_phases(tmp_path):
    clock = train(toy_program(batch_size=4), tmp_path, steps=5, seed=0)
    assert (clock.step, clock.images) == (5, 5 * 2 * 4)


@pytest.mark.parametrize("stop_at", [1, 6, 7, 20])
def test_resumed_run_equals_uninterrupted_run_bit_for_bit(tmp_path, stop_at):
    whole, halves = toy_program(), toy_program()
    train(whole, tmp_path / "whole", steps=23, seed=5, options=EVERY_TICK)
    phase = halves.phases[1]

    def stop_then(turn):
        if turn.step == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return phase.loss(turn)

    halves.phases[1] = replace(phase, loss=stop_then)
    with pytest.raises(Interrupted):
        train(halves, tmp_path / "halves", steps=23, seed=5, options=EVERY_TICK)
    rest = toy_program()
    train(rest, tmp_path / "halves", steps=23, seed=5, options=EVERY_TICK)
    assert same(weights(whole), weights(rest))
    assert without_seconds(tmp_path / "whole") == without_seconds(tmp_path / "halves")


def test_killed_at_random_moments_ends_with_identical_weights(tmp_path):
    whole = toy_program()
    train(whole, tmp_path / "whole", steps=400, seed=5, options=EVERY_TICK)
    rng, kills = random.Random(1), 0
    while kills < 6:
        child = subprocess.Popen(
            [sys.executable, HERE / "killed_run.py", tmp_path / "killed", "400"],
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(rng.uniform(0, 0.25))
        child.kill()
        child.communicate()
        kills += 1
    last = toy_program()
    train(last, tmp_path / "killed", steps=400, seed=5, options=EVERY_TICK)
    assert same(weights(whole), weights(last))
    assert without_seconds(tmp_path / "whole") == without_seconds(tmp_path / "killed")
    assert not list((tmp_path / "killed").glob(".*.partial"))


def test_another_seed_gives_other_weights(tmp_path):
    one, two = toy_program(), toy_program()
    train(one, tmp_path / "one", steps=3, seed=1)
    train(two, tmp_path / "two", steps=3, seed=2)
    assert not same(weights(one), weights(two))


def test_non_finite_loss_is_one_line_and_keeps_the_last_good_checkpoint(tmp_path):
    train(toy_program(), tmp_path, steps=7, seed=5, options=EVERY_TICK)
    good, _ = load_tensors(tmp_path / CHECKPOINT)
    program = toy_program()
    phase = program.phases[1]
    program.phases[1] = replace(phase, loss=lambda turn: (phase.loss(turn)[0] * float("nan"), {}))
    with pytest.raises(PathoganError, match="G/loss became nan by step"):
        train(program, tmp_path, steps=14, seed=5, options=EVERY_TICK)
    kept, _ = load_tensors(tmp_path / CHECKPOINT)
    assert same(good, kept)


def test_average_follows_its_half_life(tmp_path):
    program = toy_program()
    start = program.modules["generator"].weight.detach().clone()
    program.averages["generator"].half_life_images = 8  # one round consumes 2 x 4 images
    train(program, tmp_path, steps=1, seed=0)
    moved = program.modules["generator"].weight.detach()
    expected = (start + moved) / 2
    assert torch.allclose(program.averages["generator"].module.weight, expected, atol=1e-7)


@pytest.mark.parametrize("spoil", [b"", b"not a checkpoint", b"PK\x03\x04 pickled"])
def test_damaged_checkpoint_is_one_line(tmp_path, spoil):
    (tmp_path / CHECKPOINT).write_bytes(spoil)
    with pytest.raises(PathoganError, match="not a readable safetensors file"):
        train(toy_program(), tmp_path, steps=1, seed=0)


def test_checkpoint_of_another_shape_is_refused(tmp_path):
    train(toy_program(), tmp_path, steps=1, seed=0)
    other = toy_program()
    other.modules["generator"] = torch.nn.Linear(3, 5)
    with pytest.raises(PathoganError, match="does not fit this configuration"):
        train(other, tmp_path, steps=2, seed=0)


@pytest.mark.parametrize("objective", ["dcgan", "wgan"])
def test_two_ranks_equal_one_with_the_same_global_batch(tmp_path, objective):
    """Equal to 2e-6: sums over the batch are associated differently, nothing else differs."""
    results = []
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone",
                   f"--nproc-per-node={ranks}",
                   HERE / "two_ranks.py", folder, objective]  # fmt: skip
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(command, check=True, env=environment, capture_output=True, timeout=180)
        results.append(load_file(folder / "weights.safetensors"))
    one, two = results
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], atol=2e-6, rtol=2e-5, msg=name)
