"""MUNIT: normalisation against closed forms, codes, who learns, and what it can reconstruct."""

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
from pathogan_core.gans import munit
from pathogan_core.gans.domains import Domains
from pathogan_core.gans.layers import adaptive_instance_norm
from pathogan_core.training.batches import DeviceImages
from pathogan_core.training.distribution import Distribution
from pathogan_core.training.loop import Interrupted, LoopOptions, train
from pathogan_core.training.phases import Program, Turn
from pathogan_core.training.randomness import generator_for

EVERY_STEP = LoopOptions(tick_steps=1, checkpoint_seconds=0)


def small(**changes) -> munit.MUNITConfig:
    settings = {
        "image_size": 16, "width": 4, "blocks": 1, "style": 3, "hidden": 8,
        "discriminator_width": 4, "discriminator_layers": 2, "scales": 2, "batch_size": 2,
    }  # fmt: skip
    return munit.MUNITConfig(**{**settings, **changes})


def noise(count: int = 6, size: int = 16, seed: int = 0) -> DeviceImages:
    rng = np.random.default_rng(seed)
    return DeviceImages(rng.integers(0, 256, (count, size, size), np.uint8))


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def program(seed: int = 0, **changes) -> Program:
    return munit.program(small(**changes), noise(), noise(seed=1), seed)


def initialised(**changes) -> tuple[munit.Translators, nn.ModuleDict]:
    modules = program(**changes).modules
    return modules["translators"], modules["discriminators"]


def losses(translators, discriminators, **changes):
    config = small(**changes)
    domains = Domains(noise(), noise(seed=1), 16, config.batch_size, True)
    return munit.losses(config, domains, translators, discriminators)


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def turn_at(step: int = 0, rank: int = 0, world: int = 1, seed: int = 3) -> Turn:
    return Turn(step, 0, 0, generator_for(seed), Distribution(rank, world))


# ---- Networks ------------------------------------------------------------------------------------


def test_adaptive_norm_gives_each_channel_the_mean_and_deviation_asked_for():
    x = 5 + 3 * normal(2, 4, 9, 7)
    mean, deviation = normal(2, 4, seed=1), normal(2, 4, seed=2)
    styled = adaptive_instance_norm(x, mean, deviation)
    torch.testing.assert_close(styled.mean((2, 3)), mean, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        styled.var((2, 3), correction=0).sqrt(), deviation.abs(), atol=1e-5, rtol=1e-4
    )
    of_scaled = adaptive_instance_norm(10 * x - 4, mean, deviation)
    torch.testing.assert_close(of_scaled, styled, atol=1e-4, rtol=1e-4)
    constant = adaptive_instance_norm(torch.ones(2, 4, 3, 3), mean, deviation)
    torch.testing.assert_close(constant, mean[:, :, None, None].expand(2, 4, 3, 3))


@pytest.mark.parametrize("size", [16, 20, 36])
def test_codes_and_images_have_their_sizes_and_images_are_within_range(size):
    translators, discriminators = initialised()
    images = every(noise(2, size))
    content, style = translators["real"].encode(images)
    assert content.shape == (2, 16, size // 4, size // 4)
    assert style.shape == (2, 3)
    made = translators["synthetic"].decode(content, 100 * style)
    assert made.shape == images.shape
    assert made.abs().max() <= 1
    answers = discriminators["real"](made)
    halved = (size + 1) // 2
    assert [a.shape[-1] for a in answers] == [size // 4, halved // 2 // 2]


def test_the_papers_networks_have_the_papers_layers():
    with torch.device("meta"):
        translators, discriminators = munit.networks(munit.MUNITConfig())
    translator = translators["real"]

    def convolutions(network: nn.Module) -> list[tuple[int, int, int]]:
        return [
            (m.out_channels, m.kernel_size[0], m.stride[0])
            for m in network.modules()
            if isinstance(m, nn.Conv2d)
        ]

    start = [(64, 7, 1), (128, 4, 2), (256, 4, 2)]
    assert convolutions(translator.content_encoder) == start + 8 * [(256, 3, 1)]
    assert convolutions(translator.style_encoder) == start + 2 * [(256, 4, 2)]
    ends = [(128, 5, 1), (64, 5, 1), (1, 7, 1)]
    assert convolutions(translator.decoder) == 8 * [(256, 3, 1)] + ends
    linear = [m.out_features for m in translator.modules() if isinstance(m, nn.Linear)]
    assert linear == [8, 256, 256, 8 * 2 * 256]
    features = discriminators["real"].features
    assert len(features) == 3
    for scale in features:
        assert convolutions(scale) == [(64 * 2**n, 4, 2) for n in range(4)]


def test_every_scale_sees_the_image_at_half_the_size_of_the_one_before():
    _, discriminators = initialised()
    discriminator = discriminators["real"]
    images = every(noise(2))
    answers = discriminator(images)
    padded = nn.functional.pad(images, (1, 1, 1, 1))
    met = nn.functional.pad(torch.ones_like(images), (1, 1, 1, 1))
    sums, counts = (t.unfold(2, 3, 2).unfold(3, 3, 2).sum((4, 5)) for t in (padded, met))
    alone = discriminator.answers[1](discriminator.features[1](sums / counts))
    torch.testing.assert_close(answers[1], alone)


def test_content_knows_neither_brightness_nor_contrast_and_style_knows_both():
    translators, _ = initialised()
    encoders = translators["real"]
    images = 0.5 * every(noise(2))
    content, style = encoders.encode(images)
    for changed in (1.8 * images, images + 0.3):
        other_content, other_style = encoders.encode(changed)
        torch.testing.assert_close(other_content, content, atol=1e-3, rtol=1e-3)
        assert not torch.allclose(other_style, style, atol=1e-2)


def test_one_content_in_two_styles_differs_and_in_one_style_is_the_same():
    translators, _ = initialised()
    content = translators["synthetic"].content_encoder(every(noise(2)))
    real = translators["real"]
    one, other = normal(2, 3, seed=1), normal(2, 3, seed=2)
    assert torch.equal(real.decode(content, one), real.decode(content, one))
    assert (real.decode(content, one) - real.decode(content, other)).abs().mean() > 0.01
    assert (real.decode(content, one) - real.decode(content.flip(0), one)).abs().mean() > 0.01


# ---- Objective -----------------------------------------------------------------------------------


class Answering(nn.Module):
    """Two scales: one number for images above 0 in the mean, another for those below."""

    def __init__(self, above: float, below: float):
        super().__init__()
        self.above, self.below = above, below

    def forward(self, images):
        answer = torch.where(images.mean((1, 2, 3)) > 0, self.above, self.below)
        return [answer.view(-1, 1, 1, 1).expand(-1, 1, 3, 3), answer.view(-1, 1, 1, 1)]


def test_the_game_is_least_squares_summed_over_scales():
    real, fake = torch.full((2, 1, 4, 4), 0.5), torch.full((3, 1, 4, 4), -0.5)
    loss = munit.judging_loss(Answering(0.7, -0.4), real, fake)
    assert loss.item() == pytest.approx(2 * (0.3**2 + 0.4**2))
    assert munit.judging_loss(Answering(1.0, 0.0), real, fake).item() == 0


class Toy:
    """Content is the image less its mean, style is that mean: decoding adds them, plus `error`."""

    def __init__(self, error: float):
        self.error = error

    def encode(self, images):
        style = images.mean((2, 3))
        return images - style[:, :, None, None], style

    def decode(self, content, style):
        return content + style[:, :, None, None] + self.error


def test_translation_terms_of_translators_that_can_be_solved_by_hand():
    """Decoding at home is off by 0.1; abroad by 0.3, which goes into the style found there."""
    images, style = every(noise(4)), torch.full((4, 1), 2.0)
    terms = munit.translation_terms(Toy(0.1), Toy(0.3), Answering(0.6, 9.0), images, style, True)
    found = {name: value.item() for name, value in terms.items()}
    expected = {"game": 2 * 0.4**2, "image": 0.1, "content": 0.0, "style": 0.3, "cycle": 0.1}
    assert found == pytest.approx(expected, abs=1e-5)
    without = munit.translation_terms(Toy(0), Toy(0), Answering(1, 9), images, style, False)
    assert "cycle" not in without
    assert sum(without.values()).item() == pytest.approx(0, abs=1e-5)


def test_the_generators_loss_is_the_weighted_sum_of_both_directions():
    translators, discriminators = initialised()
    changes = {
        "image_weight": 3.0,
        "content_weight": 5.0,
        "style_weight": 7.0,
        "cycle_weight": 11.0,
    }
    loss, scalars = losses(translators, discriminators, **changes)[1](turn_at())
    weighed = {"game": 1, "image": 3, "content": 5, "style": 7, "cycle": 11}
    assert scalars.keys() == weighed.keys()
    expected = sum(weighed[name] * value for name, value in scalars.items())
    torch.testing.assert_close(loss, expected)
    _, plain = losses(translators, discriminators)[1](turn_at())
    assert "cycle" not in plain


class Marking(Toy):
    """A domain whose own images lie near `mark`, as do those it decodes."""

    def __init__(self, mark: float):
        self.mark = mark

    def encode(self, images):
        return images, images.mean((2, 3))

    content_encoder = staticmethod(lambda images: images)

    def decode(self, content, style):
        return content.clamp(-1, 1) + self.mark


def test_each_discriminator_judges_images_of_its_own_domain():
    """The real one is shown what the real decoder makes (10), in D real images too."""
    shown: dict[str, list[float]] = {"synthetic": [], "real": []}

    def watch(name):
        def answer(images):
            shown[name].append(round(images.mean().item() / 10))
            return [images]

        return answer

    dark, bright = (DeviceImages(np.full((4, 16, 16), grey, np.uint8)) for grey in (0, 255))
    domains = Domains(dark, bright, 16, 2, True)
    translators = {"synthetic": Marking(-10), "real": Marking(10)}
    judges = {name: watch(name) for name in shown}
    d_loss, g_loss = munit.losses(small(), domains, translators, judges)
    d_loss(turn_at())
    assert shown == {"synthetic": [0, -1], "real": [0, 1]}
    g_loss(turn_at())
    assert shown == {"synthetic": [0, -1, -1], "real": [0, 1, 1]}


def test_two_ranks_have_together_the_loss_of_one():
    for loss in losses(*initialised(), cycle_weight=1.0):
        whole = loss(turn_at())[0]
        halves = [loss(turn_at(rank=rank, world=2))[0] for rank in range(2)]
        torch.testing.assert_close(sum(halves) / 2, whole)


def test_under_autocast_images_answers_and_losses_are_fp32():
    translators, discriminators = initialised()
    both = losses(translators, discriminators, cycle_weight=1.0)
    with torch.autocast("cpu", torch.bfloat16):
        made = translators["real"].decode(*translators["real"].encode(every(noise())))
        low = [loss(turn_at())[0] for loss in both]
        found = [made, *discriminators["real"](made), *low]
    for tensor in found:
        assert tensor.dtype == torch.float32
        assert not torch.equal(tensor, tensor.bfloat16().float())  # nor made of bf16
    exact = [loss(turn_at())[0] for loss in both]
    torch.testing.assert_close(low, exact, rtol=0.05, atol=0.05)


# ---- Training ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize(("phase", "learners"), [(0, "discriminators"), (1, "translators")])
def test_a_phase_moves_both_of_its_networks_and_the_others_are_frozen(
    tmp_path, phase, learners, bf16
):
    trained = program(bf16=bf16)
    trained.phases = [trained.phases[phase]]
    before = weights(trained)
    clock = train(trained, tmp_path, steps=1, seed=0)
    assert clock.images == 2
    found = {tuple(name.split(".")[:2]) for name in moved(before, weights(trained))}
    assert found == {(learners, "synthetic"), (learners, "real")}
    for name, module in trained.modules.items():
        if name != learners:
            assert all(p.grad is None and not p.requires_grad for p in module.parameters())


def test_every_part_of_the_translators_learns(tmp_path):
    trained = program()
    before = weights(trained)
    train(trained, tmp_path, steps=1, seed=0)
    still = {n for n in before if n.endswith("weight")} - moved(before, weights(trained))
    assert still == set()


def test_the_rate_halves_every_20000_steps(tmp_path):
    config = munit.MUNITConfig()
    rates = [config.rate(step) for step in (0, 19_999, 20_000, 39_999, 40_000, 99_999)]
    assert rates == [1e-4, 1e-4, 5e-5, 5e-5, 2.5e-5, 1e-4 / 16]
    trained = program(halve_every=2)
    train(trained, tmp_path, steps=5, seed=0)
    for phase in trained.phases:
        assert phase.optimizer.param_groups[0]["lr"] == 2.5e-5


@pytest.mark.parametrize("stop_at", [1, 3])
def test_a_stopped_run_ends_bit_for_bit(tmp_path, stop_at):
    whole, stopped, rest = program(), program(), program()
    train(whole, tmp_path / "whole", steps=5, seed=0, options=EVERY_STEP)
    phase = stopped.phases[1]

    def stop_then(turn):
        if turn.step == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return phase.loss(turn)

    stopped.phases[1] = replace(phase, loss=stop_then)
    with pytest.raises(Interrupted):
        train(stopped, tmp_path / "stopped", steps=5, seed=0, options=EVERY_STEP)
    train(rest, tmp_path / "stopped", steps=5, seed=0, options=EVERY_STEP)
    assert not moved(weights(whole), weights(rest))


def four_discs() -> DeviceImages:
    """Discs of four places, sizes and grey levels."""
    y, x = np.mgrid[:16, :16]
    settings = [(5, 6, 3, 90), (9, 10, 4, 150), (7, 5, 5, 200), (10, 7, 2, 255)]
    made = [grey * ((y - a) ** 2 + (x - b) ** 2 < r * r) for a, b, r, grey in settings]
    return DeviceImages(np.stack(made).astype(np.uint8))


def test_overfitted_to_four_images_it_reconstructs_them_from_their_own_codes(tmp_path):
    four = four_discs()
    settings = {"width": 8, "batch_size": 4, "learning_rate": 2e-3, "mirror": False}
    trained = munit.program(small(**settings), four, four, seed=0)
    translators = trained.modules["translators"]

    def error() -> float:
        return max(
            (translators[name].decode(*translators[name].encode(every(four))) - every(four))
            .abs()
            .mean()
            .item()
            for name in ("synthetic", "real")
        )

    start, spread = error(), (every(four) - every(four).mean(0)).abs().mean()
    train(trained, tmp_path, steps=100, seed=0)
    assert error() < start / 10
    assert error() < spread / 3  # far below what their mean image would cost
    content, style = translators["real"].encode(every(four))
    swapped = translators["real"].decode(content.roll(1, 0), style)
    assert (swapped - every(four)).abs().mean() > 2 * error()  # it is the content that tells them


def test_initial_weights_are_a_function_of_the_seed():
    first, again, other = (weights(program(seed)) for seed in (1, 1, 2))
    assert not moved(first, again)
    drawn = {n for n, value in first.items() if value.ndim > 1}
    assert moved(first, other) == drawn
    judging = torch.cat([first[n].flatten() for n in drawn if n.startswith("discriminators")])
    assert judging.std().item() == pytest.approx(0.02, rel=0.1)
    layer = first["translators.real.content_encoder.blocks.0.first.weight"]
    assert layer.std().item() == pytest.approx(math.sqrt(2 / (16 * 9)), rel=0.1)


# ---- Use and misuse ------------------------------------------------------------------------------


def test_refining_is_a_function_of_image_seed_and_number():
    translators, _ = initialised()
    images = every(noise(5))
    refined = munit.refine(translators, images, seed=1, batch=2)
    assert refined.shape == images.shape
    assert refined.abs().max() <= 1
    assert torch.equal(refined, munit.refine(translators, images, seed=1, batch=2))
    torch.testing.assert_close(refined[:3], munit.refine(translators, images[:3], seed=1))
    assert (refined - munit.refine(translators, images, seed=2)).abs().mean() > 0.01
    content = translators["synthetic"].content_encoder(images)
    styles = munit.draw_styles(5, 3, seed=1)
    torch.testing.assert_close(refined, translators["real"].decode(content, styles))


def test_styles_are_standard_normal():
    styles = munit.draw_styles(20_000, 3, seed=0)
    assert styles.mean(0).abs().max() < 5 / math.sqrt(20_000)
    covariance = torch.cov(styles.T)
    torch.testing.assert_close(covariance, torch.eye(3), atol=0.05, rtol=0)


def test_a_configuration_comes_back_from_json():
    config = small()
    assert munit.MUNITConfig(**json.loads(json.dumps(asdict(config)))) == config


@pytest.mark.parametrize(("changes", "line"), [
    ({"image_size": 222}, "image_size: 222 is not a multiple of 4 from 16 on"),
    ({"image_size": 12}, "image_size: 12 is not a multiple of 4 from 16 on"),
    ({"image_size": 60}, "image_size: 60 px cannot be halved so often.*use 64 or more"),
    ({"batch_size": 0}, "batch_size: 0 is too small"),
    ({"halve_every": 0}, "halve_every: 0 is too small"),
    ({"cycle_weight": -1.0}, "cycle_weight: -1.0 is too small"),
])  # fmt: skip
def test_impossible_configurations_are_one_line(changes, line):
    with pytest.raises(PathoganError, match=line) as caught:
        munit.MUNITConfig(**changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [16, 20, 28])
def test_the_smallest_image_a_discriminator_allows_is_judged(size):
    config = small(image_size=size, discriminator_layers=3, scales=2)
    _, discriminators = munit.networks(config)
    assert all(answer.numel() for answer in discriminators["real"](every(noise(1, size))))


@pytest.mark.parametrize(("synthetic", "real", "line"), [
    (noise(1), noise(), "synthetic images: 1 are fewer than a batch of 2"),
    (noise(), noise(0), "real images: 0 are fewer than a batch of 2"),
    (noise(), noise(size=20), "real images: have shape 1 x 20 x 20, not 1 x 16 x 16"),
    (noise(size=20), noise(), "synthetic images: have shape 1 x 20 x 20, not 1 x 16 x 16"),
])  # fmt: skip
def test_unfit_domains_are_one_line(synthetic, real, line):
    with pytest.raises(PathoganError, match=line) as caught:
        munit.program(small(), synthetic, real, seed=0)
    assert "\n" not in str(caught.value)


def test_images_or_ranks_that_do_not_fit_are_one_line():
    with pytest.raises(PathoganError, match="18 is not a multiple of 4"):
        munit.refine(initialised()[0], every(noise(2, 18)), seed=0)
    with pytest.raises(PathoganError, match="cannot be shared by 3 processes"):
        munit.program(small(), noise(), noise(), seed=0, distribution=Distribution(0, 3))
