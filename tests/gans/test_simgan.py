"""SimGAN: who learns when, what the history holds, and how far the refiner may go."""

from __future__ import annotations

import json
import math
import os
import signal
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from torch import nn
from toys import every, weights

from pathogan_core.errors import PathoganError
from pathogan_core.gans import simgan
from pathogan_core.gans.domains import Domains
from pathogan_core.training.batches import DeviceImages
from pathogan_core.training.distribution import Distribution
from pathogan_core.training.log import read_log
from pathogan_core.training.loop import LOG, Interrupted, LoopOptions, train
from pathogan_core.training.phases import Program, Turn
from pathogan_core.training.randomness import generator_for

EVERY_STEP = LoopOptions(tick_steps=1, checkpoint_seconds=0)


def small(**changes) -> simgan.SimGANConfig:
    settings = {
        "image_size": 16, "width": 4, "blocks": 1, "batch_size": 4, "learning_rate": 0.01,
        "halve_at": 4, "refiner_warmup": 2, "discriminator_warmup": 3, "history": 8,
    }  # fmt: skip
    return simgan.SimGANConfig(**{**settings, **changes})


def noise(count: int = 12, size: int = 16, seed: int = 0) -> DeviceImages:
    rng = np.random.default_rng(seed)
    return DeviceImages(rng.integers(0, 256, (count, size, size), np.uint8))


def discs(grey: int, count: int = 16) -> DeviceImages:
    """A disc of one grey level on black, each at its own place."""
    y, x = np.mgrid[:16, :16]
    places = np.random.default_rng(grey).integers(5, 11, (count, 2, 1, 1))
    inside = (y - places[:, 0]) ** 2 + (x - places[:, 1]) ** 2 < 16
    return DeviceImages((grey * inside).astype(np.uint8))


def program(seed: int = 0, **changes) -> Program:
    return simgan.program(small(**changes), noise(), noise(seed=1), seed)


def networks() -> tuple[simgan.Refiner, simgan.Discriminator]:
    refiner, discriminator = simgan.Refiner(8, 1), simgan.Discriminator(8)
    for network in (refiner, discriminator):
        simgan.initialise(network, 0)
    return refiner, discriminator


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


def turn_at(step: int, rank: int = 0, world: int = 1, seed: int = 3) -> Turn:
    return Turn(step, 0, 0, generator_for(seed), Distribution(rank, world))


# ---- Networks and objective ----------------------------------------------------------------------


@pytest.mark.parametrize("size", [4, 20, 36])
def test_an_image_keeps_its_size_and_every_four_pixels_square_are_judged(size):
    images = every(noise(2, size))
    refiner, discriminator = networks()
    refined = refiner(images)
    assert refined.shape == images.shape
    assert discriminator(refined).shape == (2, 1, size // 4, size // 4)


def test_the_papers_networks_have_the_papers_parameters():
    config = simgan.SimGANConfig()
    refiner = simgan.Refiner(config.width, config.blocks)
    counted = sum(p.numel() for p in refiner.parameters())
    assert counted == (9 + 1) * 64 + 4 * 2 * (64 * 9 + 1) * 64 + 65
    discriminator = simgan.Discriminator(config.width)
    shapes = [tuple(m.weight.shape) for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert shapes == [
        (96, 1, 3, 3), (64, 96, 3, 3), (32, 64, 3, 3), (32, 32, 1, 1), (1, 32, 1, 1),
    ]  # fmt: skip


def test_a_patch_is_judged_by_its_surroundings_only():
    _, discriminator = networks()
    one = every(noise(1, 64))
    other = one.clone()
    other[..., 40:] = 0.0
    difference = (discriminator(one) - discriminator(other)).abs()[0, 0]
    assert (difference[:, :8] == 0).all()
    assert (difference[:, 10:] > 0).any()


class Constant(nn.Module):
    """Answers every patch alike."""

    def __init__(self, logit: float):
        super().__init__()
        self.logit = logit

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.new_full((len(images), 1, images.shape[-1] // 4, images.shape[-1] // 4),
                               self.logit)  # fmt: skip


class Adding(nn.Module):
    """A refiner that adds a number everywhere."""

    def __init__(self, amount: float):
        super().__init__()
        self.amount = amount

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images + self.amount


def losses(refiner: nn.Module, discriminator: nn.Module, size: int = 16, **changes):
    config = small(image_size=size, **changes)
    domains = Domains(noise(12, size), noise(12, size, seed=1), size, config.batch_size, True)
    history = simgan.History(config.history, size)
    return simgan.losses(config, domains, refiner, discriminator, history)


@pytest.mark.parametrize("size", [16, 32])
@pytest.mark.parametrize("logit", [-1.5, 0.0, 0.7])
def test_losses_are_their_closed_forms_at_every_size(size, logit):
    """log(1 + e^-l) fools, 0.25 everywhere costs its weight, D pays for both answers."""
    r_loss, d_loss = losses(Adding(0.25), Constant(logit), size, identity_weight=3.0)
    fooling = math.log1p(math.exp(-logit))
    loss, scalars = r_loss(turn_at(5))
    assert loss.item() == pytest.approx(fooling + 3 * 0.25, rel=1e-5)
    assert scalars["realism"].item() == pytest.approx(fooling, rel=1e-5)
    assert scalars["change"].item() == pytest.approx(0.25, rel=1e-5)
    warming, scalars = r_loss(turn_at(1))
    assert warming.item() == pytest.approx(3 * 0.25, rel=1e-5)
    assert "realism" not in scalars
    judging = fooling + math.log1p(math.exp(logit))
    assert d_loss(turn_at(5))[0].item() == pytest.approx(judging, rel=1e-5)


def test_a_refiner_that_changes_nothing_pays_nothing_for_it():
    r_loss, _ = losses(nn.Identity(), Constant(0.0), identity_weight=1e6)
    loss, scalars = r_loss(turn_at(5))
    assert scalars["change"].item() == 0
    assert loss.item() == pytest.approx(math.log(2))
    assert r_loss(turn_at(0))[0].item() == 0


def test_two_ranks_have_together_the_loss_and_the_history_of_one():
    refiner, discriminator = networks()
    found, kept = [], []
    for rank, world in ((0, 1), (0, 2), (1, 2)):
        config = small()
        domains = Domains(noise(), noise(seed=1), 16, config.batch_size, True)
        history = simgan.History(config.history, 16)
        both = simgan.losses(config, domains, refiner, discriminator, history)
        found.append([loss(turn_at(5, rank, world, seed))[0] for seed in range(4) for loss in both])
        kept.append(history.images)
    for whole, *halves in zip(*found, strict=True):
        torch.testing.assert_close(sum(halves) / 2, whole)
    assert torch.equal(kept[0], kept[1])
    assert torch.equal(kept[0], kept[2])


# ---- The history ---------------------------------------------------------------------------------


def numbered(update: int, batch: int = 4) -> torch.Tensor:
    """Images of one update: their values tell update and place, 10.1 is place 1 of update 10."""
    return (update + torch.arange(batch) / 10).view(-1, 1, 1, 1).expand(-1, 1, 4, 4).float()


def labels(images: torch.Tensor) -> list[float]:
    return [round(value, 3) for value in images[:, 0, 0, 0].tolist()]


def test_the_history_fills_then_replaces_half_a_batch_and_knows_no_later_image():
    history = simgan.History(8, 4)
    seen: set[float] = set()
    for update in range(1, 40):
        before = labels(history.images)
        mixed = labels(history.exchange(numbered(update), turn_at(0, seed=update)))
        given = labels(numbered(update))
        assert mixed[:2] == given[:2]
        if update == 1:
            assert mixed == given
        else:
            assert set(mixed[2:]) <= seen & set(before)
        seen |= set(given[:2])
        after = labels(history.images)
        assert history.held.item() == min(2 * update, 8)
        assert sum(a != b for a, b in zip(before, after, strict=True)) == 2
        assert set(given[:2]) <= set(after) <= seen | {0.0}
        if update == 4:
            assert after == [1.0, 1.1, 2.0, 2.1, 3.0, 3.1, 4.0, 4.1]


def test_every_place_of_a_full_history_is_drawn_from_and_replaced_alike():
    drawn, replaced = np.zeros(8), np.zeros(8)
    for seed in range(400):
        history = simgan.History(8, 4)
        history.images.copy_(numbered(0, 8))
        history.held.fill_(8)
        mixed = history.exchange(numbered(9), turn_at(0, seed=seed))
        for label in labels(mixed[2:]):
            drawn[round(10 * label)] += 1
        replaced += [label >= 9 for label in labels(history.images)]
    for counts in (drawn, replaced):
        assert counts.sum() == 800
        assert np.abs(counts - 100).max() < 5 * math.sqrt(100)


def test_the_discriminator_sees_what_an_earlier_refiner_made():
    shown = []

    class Watching(Constant):
        def forward(self, images):
            shown.append(images)
            return super().forward(images)

    refiner = Adding(10.0)
    _, d_loss = losses(refiner, Watching(0.0))
    d_loss(turn_at(5))
    refiner.amount = 20.0
    d_loss(turn_at(6))
    fakes = [images for images in shown if images.min() > 5]
    tens = [(images.mean((1, 2, 3)) / 10).round().tolist() for images in fakes]
    assert tens == [[1, 1, 1, 1], [2, 2, 1, 1]]
    d_loss(turn_at(7, rank=1, world=2))
    assert [len(images) for images in shown[-2:]] == [2, 2]  # a rank judges its share


# ---- Training ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize(("phase", "learners"), [
    (0, {"refiner"}), (1, {"discriminator", "history"}),
])  # fmt: skip
def test_a_phase_moves_its_own_network_and_the_other_is_frozen(tmp_path, phase, learners, bf16):
    trained = program(bf16=bf16, refiner_warmup=0, discriminator_warmup=0)
    trained.phases = [trained.phases[phase]]
    before = weights(trained)
    train(trained, tmp_path, steps=1, seed=0)
    assert moved(before, weights(trained)) == learners
    for name, module in trained.modules.items():
        if name not in learners:
            assert all(p.grad is None and not p.requires_grad for p in module.parameters())


def test_updates_follow_the_published_schedule(tmp_path):
    """1,000 refiner and 200 discriminator rounds, then 2 to 1; half the rate from 15,000 on."""
    config = simgan.SimGANConfig()
    rounds = [0, 999, 1000, 1199, 1200, 16_199, 16_200]
    assert [config.refines(step) for step in rounds] == [1, 1, 0, 0, 2, 2, 2]
    assert [config.discriminates(step) for step in rounds] == [0, 0, 1, 1, 1, 1, 1]
    assert [config.rate(step) for step in rounds] == [1e-4] * 6 + [5e-5]
    assert config.rounds(20_000) == 21_200
    trained = program()
    clock = train(trained, tmp_path, steps=small().rounds(6), seed=0, options=EVERY_STEP)
    assert clock.images == (3 + 6) * 4
    keys = [{key[0] for key in line if "/" in key} for line in read_log(tmp_path / LOG)]
    assert keys == [{"R"}] * 2 + [{"D"}] * 3 + [{"R", "D"}] * 6
    for phase in trained.phases:
        assert phase.optimizer.param_groups[0]["lr"] == 0.005


def test_the_refiner_moves_pixels_towards_the_real_ones_and_a_large_weight_holds_it(tmp_path):
    grey, bright = discs(110), discs(170)
    inside = every(grey) > -0.9
    settings = {
        "width": 8, "learning_rate": 0.02, "halve_at": 1000, "refiner_warmup": 50,
        "discriminator_warmup": 50,
    }  # fmt: skip
    change = {}
    for weight in (0.5, 5.0):
        config = small(**settings, identity_weight=weight)
        trained = simgan.program(config, grey, bright, seed=0)
        train(trained, tmp_path / str(weight), steps=config.rounds(120), seed=0)
        refined = simgan.refine(trained.modules["refiner"], every(grey))
        change[weight] = (refined - every(grey))[inside].mean().item()
    assert change[0.5] > 0.1  # 0.47 is what the discs lack
    assert abs(change[5.0]) < change[0.5] / 4


@pytest.mark.parametrize("stop_at", [1, 4, 6, 9])
def test_a_run_stopped_in_warm_up_or_game_ends_bit_for_bit(tmp_path, stop_at):
    whole, stopped, rest = program(), program(), program()
    train(whole, tmp_path / "whole", steps=14, seed=0, options=EVERY_STEP)
    number = 0 if stop_at == 1 else 1
    phase = stopped.phases[number]

    def stop_then(turn):
        if turn.step == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return phase.loss(turn)

    stopped.phases[number] = replace(phase, loss=stop_then)
    with pytest.raises(Interrupted):
        train(stopped, tmp_path / "stopped", steps=14, seed=0, options=EVERY_STEP)
    train(rest, tmp_path / "stopped", steps=14, seed=0, options=EVERY_STEP)
    assert rest.modules["history"].held.item() == 8
    assert not moved(weights(whole), weights(rest))


def test_under_autocast_logits_changes_and_losses_are_fp32():
    refiner, discriminator = networks()
    images = every(noise())
    with torch.autocast("cpu", torch.bfloat16):
        refined = refiner(images)
        r_loss, d_loss = losses(refiner, discriminator)
        found = [refined, discriminator(refined), r_loss(turn_at(5))[0], d_loss(turn_at(5))[0]]
    for tensor in found:
        assert tensor.dtype == torch.float32
        assert not torch.equal(tensor, tensor.bfloat16().float())  # nor made of bf16
    exact = losses(refiner, discriminator)
    for loss, low in zip(exact, found[2:], strict=True):
        torch.testing.assert_close(loss(turn_at(5))[0], low, rtol=0.05, atol=0.05)


def test_initial_weights_are_a_function_of_the_seed_and_blocks_begin_as_the_identity():
    first, again, other = (program(seed).modules["refiner"].state_dict() for seed in (1, 1, 2))
    for name, value in first.items():
        assert torch.equal(value, again[name])
        fixed = name.endswith(("bias", "second.weight"))
        assert torch.equal(value, other[name]) == fixed
    block = simgan.Refiner(4, 1)
    simgan.initialise(block, 0)
    positive = torch.rand(2, 4, 8, 8)
    assert torch.equal(block.features[2](positive), positive)


# ---- Use and misuse ------------------------------------------------------------------------------


def test_refined_images_are_within_range_and_each_is_refined_alone():
    refiner, _ = networks()
    images = every(noise(7))
    refined = simgan.refine(refiner, images, batch=3)
    assert refined.shape == images.shape
    assert refined.abs().max() == 1  # clipped: the refiner itself goes beyond
    assert refiner(images).abs().max() > 1
    torch.testing.assert_close(refined[4:5], simgan.refine(refiner, images[4:5]))


def test_mirroring_flips_half_of_either_domain_left_to_right():
    ramp = DeviceImages(np.tile(np.arange(16, dtype=np.uint8), (8, 16, 1)))
    for mirror, flipped in ((True, {True, False}), (False, {False})):
        domains = Domains(ramp, ramp, 16, 8, mirror)
        for draw in (domains.draw_synthetic, domains.draw_real):
            batch = draw(turn_at(0))
            assert {bool(row[0] > row[-1]) for row in batch[:, 0, 0]} == flipped


def test_a_configuration_comes_back_from_json():
    config = small()
    assert simgan.SimGANConfig(**json.loads(json.dumps(asdict(config)))) == config


@pytest.mark.parametrize(("changes", "line"), [
    ({"image_size": 222}, "image_size: 222 is not a multiple of 4 from 4 on"),
    ({"image_size": 0}, "image_size: 0 is not a multiple of 4 from 4 on"),
    ({"batch_size": 5}, "batch_size: 5 cannot be halved"),
    ({"width": 7}, "width: 7 cannot be halved"),
    ({"history": 502}, "history: 502 is not a multiple of half a batch, 5"),
    ({"history": 0}, "history: 0 is not a multiple of half a batch, 5"),
    ({"refiner_updates": 0}, "refiner_updates: 0 is too small"),
    ({"refiner_warmup": -1}, "refiner_warmup: -1 is too small"),
    ({"identity_weight": math.nan}, "identity_weight: nan is too small"),
])  # fmt: skip
def test_impossible_configurations_are_one_line(changes, line):
    with pytest.raises(PathoganError, match=line) as caught:
        simgan.SimGANConfig(**changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("synthetic", "real", "line"), [
    (noise(3), noise(), "synthetic images: 3 are fewer than a batch of 4"),
    (noise(), noise(0), "real images: 0 are fewer than a batch of 4"),
    (noise(), noise(size=20), "real images: have shape 1 x 20 x 20, not 1 x 16 x 16"),
    (noise(size=20), noise(), "synthetic images: have shape 1 x 20 x 20, not 1 x 16 x 16"),
])  # fmt: skip
def test_unfit_domains_are_one_line(synthetic, real, line):
    with pytest.raises(PathoganError, match=line) as caught:
        simgan.program(small(), synthetic, real, seed=0)
    assert "\n" not in str(caught.value)


def test_images_or_ranks_that_do_not_fit_are_one_line():
    with pytest.raises(PathoganError, match="18 is not a multiple of 4"):
        simgan.refine(simgan.Refiner(4, 1), every(noise(2, 18)))
    with pytest.raises(PathoganError, match="cannot be shared by 3 processes"):
        simgan.program(small(), noise(), noise(), seed=0, distribution=Distribution(0, 3))
