"""What a growing GAN asks of the loop: batch sizes by images, one stage a round, fresh moments."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch

from pathogan_core.training.checkpoint import load_tensors, save_tensors
from pathogan_core.training.loop import CHECKPOINT, train

sys.path.insert(0, str(Path(__file__).parent))
from toy import toy_program, weights


def batch_size(images: int) -> int:
    return 4 if images < 10 else 2


def growing(restarts=None):
    """The toy: two critic updates a round, of 4 images each below 10 images, of 2 from there on."""
    program = toy_program()
    critic, generator = program.phases
    program.phases = [
        replace(critic, images=batch_size, restarts=restarts),
        replace(generator, restarts=restarts),
    ]
    return program


def test_batch_sizes_are_a_function_of_images_and_all_phases_of_a_round_see_one_count(tmp_path):
    seen: list[tuple[str, int, int]] = []
    program = growing()

    def watched(phase):
        def loss(turn):
            seen.append((phase.name, turn.step, turn.images))
            return phase.loss(turn)

        return replace(phase, loss=loss)

    program.phases = [watched(phase) for phase in program.phases]
    clock = train(program, tmp_path, steps=4, seed=0)
    begins = [0, 8, 16, 20]
    expected = [(name, step, n) for step, n in enumerate(begins) for name in ("D", "D", "G")]
    assert seen == expected
    assert clock.images == 24


def test_a_restart_forgets_moments_as_a_checkpoint_without_any_does(tmp_path):
    """A round from 8 to 16 images restarts: the rest equals going on with new optimisers."""
    crossings: list[tuple[int, int]] = []

    def restarts(before, after):
        crossings.append((before, after))
        return before < 16 <= after

    program, slow, kept = growing(restarts), growing(), growing()
    train(program, tmp_path / "restarted", steps=5, seed=3)
    train(kept, tmp_path / "kept", steps=5, seed=3)
    train(growing(), tmp_path / "slow", steps=2, seed=3)
    _remove_moments(tmp_path / "slow" / CHECKPOINT)
    train(slow, tmp_path / "slow", steps=5, seed=3)
    assert crossings[::2] == crossings[1::2] == [(0, 8), (8, 16), (16, 20), (20, 24), (24, 28)]
    for name, value in weights(slow).items():
        assert torch.equal(value, weights(program)[name]), name
    different = [not torch.equal(value, weights(program)[n]) for n, value in weights(kept).items()]
    assert all(different)


def _remove_moments(path: Path) -> None:
    tensors, header = load_tensors(path)
    save_tensors(path, {k: v for k, v in tensors.items() if "optimizer/" not in k}, header)
