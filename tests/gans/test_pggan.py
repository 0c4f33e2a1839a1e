"""PGGAN: what grows, who learns, what is seen, and that a run can stop anywhere."""

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

from pathogan_core.errors import PathoganError
from pathogan_core.gans import pggan
from pathogan_core.gans.growth import Stage
from pathogan_core.gans.layers import EqualisedConv2d, downsample, upsample
from pathogan_core.training.batches import DeviceImages
from pathogan_core.training.distribution import Distribution
from pathogan_core.training.loop import Interrupted, LoopOptions, train
from pathogan_core.training.phases import Program, Turn
from pathogan_core.training.randomness import generator_for

LEVELS = (0, 1, 2)
EVERY_STEP = LoopOptions(tick_steps=1, checkpoint_seconds=0)


def small(**changes) -> pggan.PGGANConfig:
    """16 px; levels 0, 1, 2; fades at 8-20 and 28-40 images."""
    settings = {
        "image_size": 16, "width": 8, "full_width_to": 8, "latent": 6, "batch_sizes": (4,),
        "stable_images": 8, "fade_images": 12, "stddev_group": 2, "crop_pixels": 3,
        "ema_half_life_images": 20.0,
    }  # fmt: skip
    return pggan.PGGANConfig(**{**settings, **changes})


def images(count: int = 20, size: int = 16) -> DeviceImages:
    return DeviceImages(np.random.default_rng(0).integers(0, 256, (count, size, size), np.uint8))


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def networks(**changes) -> tuple[pggan.Generator, pggan.Discriminator]:
    config = small(**changes)
    generator = pggan.Generator(config.channels, config.latent)
    discriminator = pggan.Discriminator(config.channels, config.stddev_group)
    for module in (generator, discriminator):
        pggan.initialise(module, 0)
    return generator, discriminator


def weights(program: Program) -> dict[str, torch.Tensor]:
    return {
        f"{name}.{key}": value.clone()
        for name, module in program.checkpointed.items()
        for key, value in module.state_dict().items()
    }


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def turn_at(seen: int, rank: int = 0, world: int = 1) -> Turn:
    return Turn(0, 0, seen, generator_for(3), Distribution(rank, world))


# ---- Networks ------------------------------------------------------------------------------------


def test_full_size_networks_have_the_papers_channels_and_parameters():
    config = pggan.PGGANConfig()
    assert config.channels == (512, 512, 512, 512, 256, 128, 64)
    with torch.device("meta"):
        generator = pggan.Generator(config.channels, config.latent)
        discriminator = pggan.Discriminator(config.channels, config.stddev_group)
    for network in (generator, discriminator):
        counted = sum(p.numel() for p in network.parameters())
        assert counted == pytest.approx(23.05e6, rel=1e-3)  # of the reference code, one channel
    assert pggan.PGGANConfig(image_size=64, width=64, full_width_to=16).channels == (
        64, 64, 64, 32, 16,
    )  # fmt: skip


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_makes_and_judges_its_own_resolution(level):
    generator, discriminator = networks()
    made = generator(normal(4, 6), level)
    assert made.shape == (4, 1, 4 << level, 4 << level)
    assert discriminator(made, level).shape == (4,)
    if level == 2:
        assert torch.equal(generator(normal(4, 6)), made)


@pytest.mark.parametrize("level", [1, 2])
def test_the_generator_fades_from_the_smaller_image_doubled_to_the_grown_one(level):
    generator, _ = networks()
    latent = normal(4, 6)
    old, new = upsample(generator(latent, level - 1)), generator(latent, level)
    assert (old - new).abs().max() > 0.1
    for kind in (float, torch.tensor):
        assert torch.equal(generator(latent, level, kind(0.0)), old)
        assert torch.equal(generator(latent, level, kind(1.0)), new)
        between = generator(latent, level, kind(0.3))
        torch.testing.assert_close(between, 0.7 * old + 0.3 * new)


@pytest.mark.parametrize("level", [1, 2])
def test_the_discriminator_fades_from_the_smaller_one_of_the_halved_image_to_the_grown_one(level):
    _, discriminator = networks()
    shown = normal(4, 1, 4 << level, 4 << level)
    old, new = discriminator(downsample(shown), level - 1), discriminator(shown, level)
    for kind in (float, torch.tensor):
        torch.testing.assert_close(discriminator(shown, level, kind(0.0)), old)
        assert torch.equal(discriminator(shown, level, kind(1.0)), new)
    assert not torch.allclose(discriminator(shown, level, 0.5), new, atol=1e-4)


def test_the_grown_networks_do_without_the_old_layers():
    generator, discriminator = networks()
    latent, shown = normal(4, 6), normal(4, 1, 16, 16)
    before = generator(latent), discriminator(shown)
    with torch.no_grad():
        for layer in (*generator.to_image[:2], *discriminator.from_image[:2]):
            layer.weight.fill_(float("nan"))
    assert torch.equal(generator(latent), before[0])
    assert torch.equal(discriminator(shown), before[1])


def test_a_latents_length_means_nothing():
    generator, _ = networks()
    torch.testing.assert_close(generator(5 * normal(4, 6)), generator(normal(4, 6)))


def test_the_first_layer_is_the_papers_convolution_of_one_pixel():
    """A dense layer with He's constant for 16 taps: sqrt(2) / 4 / sqrt(latent)."""
    generator, _ = networks()
    z = normal(3, 6)
    dense = torch.einsum("nl,olyx->noyx", z, generator.first.weight.flip(2, 3))
    expected = dense * math.sqrt(2 / (16 * 6))
    torch.testing.assert_close(generator.first(z[:, :, None, None]), expected)


def wide_networks() -> tuple[pggan.Generator, pggan.Discriminator]:
    return networks(image_size=32, width=64, full_width_to=32, latent=64)


def convolutions(network: nn.Module) -> list[EqualisedConv2d]:
    return [layer for layer in network.modules() if isinstance(layer, EqualisedConv2d)]


def activated_square(features: torch.Tensor) -> float:
    return nn.functional.leaky_relu(features, 0.2).square().mean().item()


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_the_generators_features_have_a_variance_of_one_at_every_level(level):
    """Exactly one in each pixel after pixel norm; about one before it, but in the first layer."""
    generator, _ = wide_networks()
    entering, leaving = [], []

    def record(layer, inputs, output):
        entering.append(inputs[0])
        leaving.append(output)

    for layer in convolutions(generator):
        layer.register_forward_hook(record)
    generator(normal(16, 64), level)
    for features in entering:
        torch.testing.assert_close(features.square().mean(1), torch.ones_like(features[:, 0]))
    first, *between, _ = map(activated_square, leaving)
    assert first == pytest.approx(1.04 / 16, rel=0.1)
    assert len(between) == 2 * level + 1
    assert between == pytest.approx([1.0] * len(between), rel=0.4)


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_the_discriminators_layers_keep_a_variance_of_one_at_every_level(level):
    """Each layer is given normal features: those of the layer before are means of noise."""
    _, discriminator = wide_networks()
    found = []

    def record(layer, inputs, output):
        size, taps = output.shape[-1], layer.kernel_size[0]
        met = ((taps * size - 2) / (taps * size)) ** 2 if layer.padding[0] else 1.0
        spread = 5 * math.sqrt(2 / min(layer.weight.numel(), output.numel() / 4))
        found.append(activated_square(output) == pytest.approx(1.04 * met, rel=spread))

    for layer in convolutions(discriminator):
        layer.register_forward_pre_hook(lambda _, inputs: (normal(*inputs[0].shape, seed=1),))
        layer.register_forward_hook(record)
    values = discriminator(normal(64, 1, 4 << level, 4 << level), level)
    assert found == [True] * (2 * level + 3)
    assert values.square().mean().item() == pytest.approx(1.04, rel=5 * math.sqrt(2 / 64))


# ---- What the critic sees ------------------------------------------------------------------------


@pytest.mark.parametrize("stage", [Stage(0), Stage(1, 0.0), Stage(1, 0.3), Stage(2, 0.9), Stage(2)])
def test_real_images_are_area_means_faded_as_the_generators_are(stage):
    full = normal(3, 1, 16, 16)

    def means(size: int) -> np.ndarray:
        return full.numpy().reshape(3, 1, size, 16 // size, size, 16 // size).mean((3, 5))

    size = stage.resolution
    expected = means(size)
    if stage.alpha < 1:
        coarse = means(size // 2).repeat(2, axis=2).repeat(2, axis=3)
        expected = stage.alpha * expected + (1 - stage.alpha) * coarse
    np.testing.assert_allclose(pggan.at_stage(full, stage).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("level", [1, 2])
def test_growing_by_a_level_changes_no_value_at_first(level):
    generator, discriminator = networks()
    full, latent = normal(4, 1, 16, 16), normal(4, 6)
    before, after = Stage(level - 1), Stage(level, 0.0)
    values = [
        discriminator(shown, stage.level, stage.alpha)
        for stage in (before, after)
        for shown in (
            pggan.at_stage(full, stage),
            generator(latent, stage.level, stage.alpha),
        )
    ]
    torch.testing.assert_close(values[2:], values[:2])


def critic_that_remembers(shown: list[torch.Tensor]) -> nn.Module:
    class Remembering(nn.Module):
        def forward(self, images, level, alpha):
            shown.append((images, level, alpha))
            return 0.7 + 0 * images.sum((1, 2, 3))

    return Remembering()


@pytest.mark.parametrize(("seen", "stage", "batch"), [
    (0, Stage(0), 4), (8, Stage(1, 0.0), 8), (14, Stage(1, 0.5), 8), (25, Stage(1), 8),
    (34, Stage(2, 0.5), 2), (10_000, Stage(2), 2),
])  # fmt: skip
def test_both_losses_work_at_the_stage_and_batch_of_the_images_seen(seen, stage, batch):
    config = small(batch_sizes=(4, 8, 2), crop_pixels=0)
    same = DeviceImages(np.tile(np.arange(256, dtype=np.uint8).reshape(1, 16, 16), (9, 1, 1)))
    shown: list[tuple] = []
    d_loss, g_loss = pggan.losses(config, same, networks()[0], critic_that_remembers(shown))
    loss, scalars = d_loss(turn_at(seen))
    drift = 1e-3 * 0.7**2
    assert loss.item() == pytest.approx(10 * 1 + drift, rel=1e-4)  # no gap, no slope
    assert scalars["penalty"].item() == pytest.approx(1, rel=1e-4)
    assert g_loss(turn_at(seen))[0].item() == pytest.approx(-0.7)
    real = pggan.at_stage(same[torch.zeros(batch, dtype=torch.int64)], stage)
    assert torch.equal(shown[0][0], real)
    for image, level, alpha in shown:
        assert image.shape == real.shape
        assert (level, alpha) == (stage.level, stage.alpha)
    assert not shown[1][0].requires_grad
    assert shown[-1][0].requires_grad


def test_crop_moves_the_image_by_every_offset_and_no_other():
    """As 240 px in 256 px: 15 px of freedom put an image 8 px from the edge at 0 to 15."""
    dot = torch.full((64, 1, 31, 31), -1.0)
    dot[:, :, 15, 15] = 1
    found = set()
    for seed in range(8):
        turn = Turn(0, 0, 0, generator_for(seed), Distribution())
        _, _, y, x = torch.nonzero(pggan.cropped(dot, turn, 64, 15) == 1).T
        assert len(y) == 64
        found |= {
            (axis, position - 15 + 8) for axis, p in enumerate((y, x)) for position in p.tolist()
        }
    assert found == {(axis, offset) for axis in (0, 1) for offset in range(16)}


def test_two_ranks_have_together_the_loss_of_one():
    config = small(batch_sizes=(8,))
    d_loss, g_loss = pggan.losses(config, images(), *networks())
    for loss in (d_loss, g_loss):
        for seen in (0, 14, 100):
            whole = loss(turn_at(seen))[0]
            halves = [loss(turn_at(seen, rank, 2))[0] for rank in range(2)]
            torch.testing.assert_close(sum(halves) / 2, whole)


# ---- Objective -----------------------------------------------------------------------------------


def test_critic_loss_of_a_linear_critic():
    real, fake = normal(4, 1, 2, 2), normal(4, 1, 2, 2, seed=1)
    weight = torch.tensor([[3.0, 0.0], [4.0, 0.0]])
    loss, scalars = pggan.critic_loss(
        lambda x: (x[:, 0] * weight).sum((1, 2)), real, fake, torch.rand(4), 10.0, 0.5
    )
    values, other = ((x[:, 0] * weight).sum((1, 2)) for x in (real, fake))
    gap = values.mean() - other.mean()
    torch.testing.assert_close(loss, -gap + 10 * 16 + 0.5 * values.square().mean())
    torch.testing.assert_close(scalars["gap"], gap)


def test_the_critics_loss_compiles_whole_and_a_moving_alpha_needs_no_new_compilation():
    _, discriminator = networks()
    real, fake, mix = normal(4, 1, 8, 8), normal(4, 1, 8, 8, seed=1), torch.rand(4)

    def loss(real, fake, mix, alpha):
        critic = lambda x: discriminator(x, 1, alpha)  # noqa: E731
        return pggan.critic_loss(critic, real, fake, mix, 10.0, 1e-3)[0]

    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    for alpha, stance in ((0.2, "default"), (0.7, "fail_on_recompile")):
        results = []
        for function in (loss, compiled):
            discriminator.zero_grad()
            with torch.compiler.set_stance(stance):
                value = function(real, fake, mix, torch.tensor(alpha))
            value.backward()
            gradients = [p.grad.clone() for p in discriminator.parameters() if p.grad is not None]
            results.append((value.detach(), gradients))
        torch.testing.assert_close(results[1], results[0])


def test_under_autocast_images_values_and_losses_are_fp32():
    generator, discriminator = networks()
    with torch.autocast("cpu", torch.bfloat16):
        made = generator(normal(4, 6), 2, 0.5)
        values = discriminator(made, 2, 0.5)
        d_loss, g_loss = pggan.losses(small(), images(), generator, discriminator)
        losses = [d_loss(turn_at(34))[0], g_loss(turn_at(34))[0]]
    for tensor in (made, values, *losses):
        assert tensor.dtype == torch.float32
        assert not torch.equal(tensor, tensor.bfloat16().float())  # nor made of bf16
    exact = [
        loss(turn_at(34))[0] for loss in pggan.losses(small(), images(), generator, discriminator)
    ]
    torch.testing.assert_close(losses, exact, rtol=0.05, atol=0.05)


# ---- Training ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("phase", "learner"), [(0, "discriminator"), (1, "generator")])
@pytest.mark.parametrize("bf16", [False, True])
def test_a_phase_moves_its_own_network_and_the_other_is_frozen(tmp_path, phase, learner, bf16):
    program = pggan.program(small(bf16=bf16, ema_half_life_images=0), images(), seed=0)
    program.phases = [program.phases[phase]]
    before = weights(program)
    train(program, tmp_path, steps=2, seed=0)
    assert {name.split(".")[0] for name in moved(before, weights(program))} == {learner}
    for name, module in program.modules.items():
        if name != learner:
            assert all(p.grad is None and not p.requires_grad for p in module.parameters())


def test_only_layers_of_the_stage_learn(tmp_path):
    """Rounds of 4 images: two at level 0, three fade in level 1 (the first at alpha 0), ..."""
    program = pggan.program(small(), images(), seed=0)
    learnt = []
    for steps in (2, 5, 7):
        before = weights(program)
        train(program, tmp_path, steps=steps, seed=0)
        names = moved(before, weights(program))
        learnt.append({n for n in names if n.split(".")[1] in ("blocks", "to_image", "from_image")})

    def layers(blocks: list[int], images: list[int]) -> set[str]:
        convolutions = [f"blocks.{n}.{half}" for n in blocks for half in ("first", "second")]
        ends = ("weight", "bias")
        made = {
            f"{network}.{layer}.{end}"
            for network in ("generator", "generator_average")
            for layer in [*convolutions, *(f"to_image.{n}" for n in images)]
            for end in ends
        }
        judged = [*convolutions, *(f"from_image.{n}" for n in images)]
        return made | {f"discriminator.{layer}.{end}" for layer in judged for end in ends}

    averages_lag = {f"generator_average.to_image.0.{end}" for end in ("weight", "bias")}
    assert learnt[0] == layers([], [0])
    assert learnt[1] == layers([0], [0, 1])
    assert learnt[2] == layers([0], [1]) | averages_lag


def test_the_average_survives_growth(tmp_path):
    """It equals the recursion over the generator's weights, over every boundary."""
    config = small()
    program = pggan.program(config, images(), seed=0)
    generator = program.modules["generator"]
    expected = {name: p.detach().clone() for name, p in generator.named_parameters()}

    def follow(clock, line):
        for name, parameter in generator.named_parameters():
            weight = 1 - 0.5 ** (4 / config.ema_half_life_images)
            expected[name] += weight * (parameter.detach() - expected[name])

    options = LoopOptions(tick_steps=1, on_tick=follow)
    clock = train(program, tmp_path, steps=14, seed=0, options=options)
    assert config.growth.at(clock.images) == Stage(2)
    for name, parameter in program.averages["generator"].module.named_parameters():
        torch.testing.assert_close(parameter, expected[name], atol=1e-6, rtol=1e-5)
    drawn = pggan.draw(program.best("generator"), normal(3, 6))
    assert not torch.allclose(drawn, pggan.draw(generator, normal(3, 6)), atol=1e-3)


@pytest.mark.parametrize("reset", [True, False])
def test_moments_are_forgotten_at_a_boundary_or_kept(tmp_path, reset):
    program = pggan.program(small(reset_moments=reset), images(), seed=0)
    train(program, tmp_path, steps=4, seed=0)
    for phase in program.phases:
        state = phase.optimizer.state[program.modules[phase.trains].second.weight]
        assert state["step"].item() == (2 if reset else 4)  # level 1 began after two rounds
    train(program, tmp_path, steps=5, seed=0)
    assert all(bool(phase.optimizer.state) != reset for phase in program.phases)  # its fade ended


class Killed(Exception):
    """Stands for a process that ends at once."""


@pytest.mark.parametrize("how", [signal.SIGTERM, Killed])
@pytest.mark.parametrize("stop_at", [1, 3, 4, 8])
def test_a_run_stopped_within_a_fade_or_before_a_boundary_ends_bit_for_bit(tmp_path, how, stop_at):
    whole, rest = (pggan.program(small(), images(), seed=0) for _ in range(2))
    train(whole, tmp_path / "whole", steps=12, seed=0, options=EVERY_STEP)
    stopped = pggan.program(small(), images(), seed=0)
    phase = stopped.phases[1]

    def stop_then(turn):
        if turn.step == stop_at:
            if how is Killed:
                raise Killed
            os.kill(os.getpid(), how)
        return phase.loss(turn)

    stopped.phases[1] = replace(phase, loss=stop_then)
    with pytest.raises((Killed, Interrupted)):
        train(stopped, tmp_path / "stopped", steps=12, seed=0, options=EVERY_STEP)
    train(rest, tmp_path / "stopped", steps=12, seed=0, options=EVERY_STEP)
    ours, theirs = weights(rest), weights(whole)
    assert not moved(ours, theirs)
    for one, other in zip(rest.phases, whole.phases, strict=True):
        assert len(one.optimizer.state) == len(other.optimizer.state) > 0


def test_steps_are_those_in_which_the_loop_sees_the_images(tmp_path):
    config = small(batch_sizes=(8, 4, 2), critic_steps=2)
    steps = config.steps(70)
    clock = train(pggan.program(config, images(), seed=0), tmp_path, steps=steps, seed=0)
    assert 70 <= clock.images < 70 + 2 * 2


def test_initial_weights_are_normal_and_a_function_of_the_seed():
    first, again, other = (
        pggan.program(small(), images(), seed=s).modules["generator"].state_dict()
        for s in (1, 1, 2)
    )
    for name, value in first.items():
        assert torch.equal(value, again[name])
        assert name.endswith("bias") == torch.equal(value, other[name])
    together = torch.cat([v.flatten() for n, v in first.items() if not n.endswith("bias")])
    assert together.std().item() == pytest.approx(1, abs=0.05)


# ---- Use and misuse ------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", [None, Stage(1, 0.5), Stage(0)])
def test_a_sample_depends_on_its_own_latent_only(stage):
    generator, _ = networks()
    many, few = (pggan.sample(generator, n, 6, seed=1, batch=3, stage=stage) for n in (10, 4))
    assert many.shape[-1] == (stage or Stage(2)).resolution
    torch.testing.assert_close(many[:4], few, atol=1e-6, rtol=1e-5)
    latents = normal(2, 6)
    level, alpha = (stage.level, stage.alpha) if stage else (2, 1.0)
    torch.testing.assert_close(
        pggan.draw(generator, latents, stage=stage), generator(latents, level, alpha)
    )
    assert generator.training


def test_a_configuration_comes_back_from_json():
    config = small(batch_sizes=(8, 4))
    again = pggan.PGGANConfig(**json.loads(json.dumps(asdict(config))))
    assert again == config
    assert hash(again) == hash(config)
    assert again.growth.level_batch_sizes == (8, 4, 4)


@pytest.mark.parametrize(("changes", "line"), [
    ({"image_size": 240}, "image_size: 240 is not a power of two from 8 on"),
    ({"image_size": 4}, "image_size: 4 is not a power of two from 8 on"),
    ({"batch_sizes": (16, 6)}, "batch_sizes: 6 on 1 device.* no multiple of the group of 4"),
    ({"batch_sizes": (0,)}, "batch_sizes: 0 is too small"),
    ({"stddev_group": 0}, "stddev_group: 0 is too small"),
    ({"stable_images": 0}, "stable_images: 0 is too small"),
    ({"width": 4}, "width: 4 leaves no channel at 256 px"),
    ({"crop_pixels": -1}, "crop_pixels: -1 is too small"),
])  # fmt: skip
def test_impossible_configurations_are_one_line(changes, line):
    with pytest.raises(PathoganError, match=line) as caught:
        pggan.PGGANConfig(**changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("given", "changes", "line"), [
    (images(0), {}, "images: 0 are fewer than a batch of 4"),
    (images(3), {"batch_sizes": (2, 4)}, "images: 3 are fewer than a batch of 4"),
    (images(1), {"batch_sizes": (2,)}, "images: 1 are fewer than a batch of 2"),
    (images(9, size=8), {}, "images: have shape 1 x 8 x 8, not 1 x 16 x 16"),
])  # fmt: skip
def test_unfit_images_are_one_line(given, changes, line):
    with pytest.raises(PathoganError, match=line):
        pggan.program(small(**changes), given, seed=0)


@pytest.mark.parametrize(("world", "line"), [
    (3, "cannot be shared by 3 processes"),
    (4, r"batch_sizes: 4 on 4 device\(s\) is no multiple of the group of 2"),
])  # fmt: skip
def test_batches_that_ranks_cannot_share_in_groups_are_one_line(world, line):
    with pytest.raises(PathoganError, match=line):
        pggan.program(small(), images(), seed=0, distribution=Distribution(0, world))
