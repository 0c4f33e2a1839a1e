"""CPGGAN: PGGAN without a condition; with one, what sees it, what learns from it, what it moves."""

from __future__ import annotations

from dataclasses import asdict, fields

import numpy as np
import pytest
import torch
from torch import Tensor

from pathogan_core import boxes as box_arrays
from pathogan_core.errors import PathoganError
from pathogan_core.gans import cpggan, mismatch, pggan
from pathogan_core.gans.cpggan_networks import reduced, seen_at
from pathogan_core.gans.growth import Stage
from pathogan_core.training.batches import DeviceImages
from pathogan_core.training.distribution import Distribution
from pathogan_core.training.log import read_log
from pathogan_core.training.loop import LOG, LoopOptions, train
from pathogan_core.training.phases import Turn
from pathogan_core.training.randomness import generator_for

LEVELS = (0, 1, 2)
ON, HALF = Stage(2), Stage(2, 0.5)


def small(**changes) -> cpggan.CPGGANConfig:
    """16 px; levels 0, 1, 2; fades at 8-20 and 28-40 images."""
    settings = {
        "image_size": 16, "width": 8, "full_width_to": 8, "latent": 6, "batch_sizes": (4,),
        "stable_images": 8, "fade_images": 12, "stddev_group": 2, "ema_half_life_images": 20.0,
    }  # fmt: skip
    return cpggan.CPGGANConfig(**{**settings, **changes})


def images(count: int = 20) -> DeviceImages:
    return DeviceImages(np.random.default_rng(0).integers(0, 256, (count, 16, 16), np.uint8))


def boxes(count: int = 20) -> DeviceImages:
    rng = np.random.default_rng(1)
    low, side = rng.integers(0, 8, (count, 2)), rng.integers(2, 8, (count, 2))
    drawn = [box_arrays.drawn([[*a, *(a + s)]], 16) for a, s in zip(low, side, strict=True)]
    return DeviceImages(np.round(255 * np.stack(drawn)).astype(np.uint8))


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def conditions(config: cpggan.CPGGANConfig, count: int = 4) -> Tensor:
    return config.condition((boxes()[torch.arange(count)] + 1) / 2)


def networks(config: cpggan.CPGGANConfig):
    generator, discriminator = config.networks()
    for module in (generator, discriminator):
        pggan.initialise(module, 0)
    return generator, discriminator


def turn_at(seen: int, seed: int = 3) -> Turn:
    return Turn(0, 0, seen, generator_for(seed), Distribution())


# ---- Without a condition it is PGGAN -------------------------------------------------------------


def test_without_condition_channels_a_trained_cpggan_is_pggan_to_the_bit(tmp_path):
    config = small(condition_channels=0)
    names = {field.name for field in fields(pggan.PGGANConfig)}
    plain = pggan.PGGANConfig(**{k: v for k, v in asdict(config).items() if k in names})
    programs = {
        "cpggan": cpggan.program(config, images(), boxes(), seed=5),
        "pggan": pggan.program(plain, images(), seed=5),
    }
    for name, program in programs.items():
        clock = train(program, tmp_path / name, steps=14, seed=5, options=LoopOptions(tick_steps=7))
    assert clock.images > plain.growth.boundaries[-1]  # all stages were seen
    ours, theirs = (programs[name].checkpointed for name in ("cpggan", "pggan"))
    assert ours.keys() == theirs.keys()
    for name in ours:
        for key, value in theirs[name].state_dict().items():
            assert torch.equal(ours[name].state_dict()[key], value), f"{name}.{key}"


# ---- What the condition reaches ------------------------------------------------------------------


def test_a_box_of_10_px_at_256_keeps_its_mass_down_to_4():
    drawn = torch.from_numpy(box_arrays.drawn([[100, 37, 110, 47]], 256))[None, None]
    for size in (256, 128, 64, 32, 16, 8, 4):
        small_one = reduced(drawn, size)
        assert small_one.shape[-1] == size
        assert small_one.sum() * (256 / size) ** 2 == pytest.approx(100, rel=1e-5)
        row, column = divmod(int(small_one.flatten().argmax()), size)
        assert abs((row + 0.5) * 256 / size - 42) <= 5 + 128 / size
        assert abs((column + 0.5) * 256 / size - 105) <= 5 + 128 / size


@pytest.mark.parametrize("entrance", ["before", "after"])
@pytest.mark.parametrize("channels", [1, cpggan.AS_WIDE])
@pytest.mark.parametrize("level", LEVELS)
def test_the_condition_changes_what_is_generated_except_at_4_px(entrance, channels, level):
    config = small(condition_channels=channels, entrance=entrance)
    generator, _ = networks(config)
    latent, condition = normal(4, 6), conditions(config)
    one, other = generator(latent, condition, level), generator(latent, condition.roll(1, 0), level)
    assert one.shape == (4, 1, 4 << level, 4 << level)
    assert torch.equal(one, other) == (level == 0)


def test_a_generator_before_doubling_sees_the_coarser_condition_and_after_it_the_finer():
    """Half-pixel shifts at the block's own resolution vanish in the means of the one before."""
    fine = torch.zeros(2, 1, 16, 16)
    fine[0, :, 4:6, 4:8], fine[1, :, 6:8, 4:8] = 1, 1  # one mean over 4 x 4 pixels
    latent = normal(1, 6).expand(2, -1)
    for entrance, alike in (("before", True), ("after", False)):
        generator, _ = networks(small(entrance=entrance))
        made = generator(latent, fine, level=1)  # 8 px: sees 4 before, 8 after
        assert torch.allclose(made[0], made[1]) is alike


@pytest.mark.parametrize("level", LEVELS)
def test_the_critic_compares_image_and_condition_at_every_level(level):
    config = small()
    _, discriminator = networks(config)
    shown, condition = normal(4, 1, 4 << level, 4 << level), conditions(config)
    values = discriminator(shown, condition, level)
    assert not torch.allclose(values, discriminator(shown, condition.roll(1, 0), level))


def test_the_condition_fades_with_the_same_alpha_as_real_images():
    condition = conditions(small())
    stage = Stage(2, 0.25)
    assert torch.equal(seen_at(condition, stage), pggan.at_stage(condition, stage))
    old = seen_at(condition, Stage(1)).repeat_interleave(2, 2).repeat_interleave(2, 3)
    expected = 0.75 * old + 0.25 * condition
    torch.testing.assert_close(seen_at(condition, stage), expected)


@pytest.mark.parametrize("stage", [ON, HALF])
def test_only_the_weights_for_the_condition_carry_it(stage):
    """With the columns for the condition at 0 both networks are deaf to it."""
    config = small()
    generator, discriminator = networks(config)
    with torch.no_grad():
        for block in generator.blocks:
            block.first.weight[:, -1:] = 0
        for layer in discriminator.from_image:
            layer.weight[:, 1:] = 0
    condition, latent, shown = conditions(config), normal(4, 6), normal(4, 1, 16, 16)
    at = (stage.level, stage.alpha)
    others = condition.roll(1, 0)
    assert torch.equal(generator(latent, condition, *at), generator(latent, others, *at))
    first, second = (discriminator(shown, given, *at) for given in (condition, others))
    assert torch.equal(first, second)


# ---- Losses --------------------------------------------------------------------------------------


class RecordingCritic(torch.nn.Module):
    """Linear in the image; remembers what it was shown."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.shown: list[tuple[Tensor, Tensor]] = []

    def forward(self, shown, condition, level, alpha):
        self.shown.append((shown.detach(), condition.detach()))
        return (shown * self.weight).mean((1, 2, 3)) + condition.mean((1, 2, 3))


class Mirror(torch.nn.Module):
    """Generates the negative of its condition, whatever the noise."""

    def __init__(self):
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(1))

    def forward(self, latent, condition, level, alpha):
        return -reduced(condition, 4 << level) + self.bias


def test_fakes_have_the_real_batchs_own_boxes_and_the_penalty_interpolates_images_only():
    config, critic = small(), RecordingCritic()
    d_loss, _ = cpggan.losses(config, images(), boxes(), Mirror(), critic)
    d_loss(turn_at(100))
    (real, seen), (fake, with_fake), (between, with_between), (_, own), (_, wrong) = critic.shown
    assert torch.equal(with_fake, seen)
    assert torch.equal(fake, -seen)  # what was asked for is what the critic is told
    assert torch.equal(with_between, seen)
    way, gone = (real - fake).flatten(1), (between - fake).flatten(1)
    mix = (gone * way).sum(1) / way.square().sum(1)
    assert ((mix >= 0) & (mix < 1)).all()
    torch.testing.assert_close(gone, mix[:, None] * way)  # one number for each image
    assert torch.equal(own, seen)
    assert torch.equal(wrong, seen.roll(1, 0))


def test_the_boxes_gap_is_that_of_right_and_wrong_boxes():
    """A critic that answers how much of the boxes is bright in the image."""

    def overlap(shown, condition):
        return (shown * condition).mean((1, 2, 3))

    condition = torch.zeros(3, 1, 4, 4)
    condition[0, 0, 0], condition[1, 0, 1], condition[2, 0, 2] = 1, 1, 1
    gaps = mismatch.condition_gaps(overlap, condition, condition)
    assert gaps.tolist() == pytest.approx([0.25] * 3)
    same = condition[:1].expand(3, -1, -1, -1)
    assert mismatch.condition_gaps(overlap, same, same).tolist() == [0, 0, 0]


def test_the_mismatch_term_asks_for_a_gap_and_is_content_with_one():
    assert float(mismatch.mismatch_loss(torch.zeros(2))) == pytest.approx(np.log(2))
    gaps = torch.tensor([-2.0, 6.0], requires_grad=True)
    mismatch.mismatch_loss(gaps).backward()
    slopes = gaps.grad * 2  # of a mean of two
    assert slopes.tolist() == pytest.approx([-1 / (1 + np.exp(-2)), -1 / (1 + np.exp(6))])


def test_the_mismatch_term_is_the_only_difference_that_its_weight_makes():
    losses, gaps = [], []
    for weight in (0.0, 2.0):
        config = small(mismatch_weight=weight)
        generator, discriminator = networks(config)
        d_loss, _ = cpggan.losses(config, images(), boxes(), generator, discriminator)
        loss, scalars = d_loss(turn_at(100))
        losses.append(loss)
        gaps.append(scalars["boxes_gap"])
        loss.backward()
    assert torch.equal(*gaps)
    shown, condition = images()[turn_at(100).indices(4, 20)], None
    condition = config.condition((boxes()[turn_at(100).indices(4, 20)] + 1) / 2)
    with torch.no_grad():
        found = mismatch.condition_gaps(discriminator, shown, condition)
    torch.testing.assert_close(losses[1] - losses[0], 2 * mismatch.mismatch_loss(found))


def test_the_mismatch_term_makes_the_critic_look_at_boxes(tmp_path):
    """After as many steps on images that show their own box, bright on grey."""
    drawn, gaps = boxes(64), {}
    shown = ((drawn[torch.arange(64)][:, 0].numpy() + 1) * 100 + 20).astype(np.uint8)
    for weight in (0.0, 5.0):
        config = small(stable_images=4, fade_images=4, mismatch_weight=weight)
        program = cpggan.program(config, DeviceImages(shown), drawn, seed=0)
        folder = tmp_path / str(weight)
        train(program, folder, steps=160, seed=0, options=LoopOptions(tick_steps=20))
        gaps[weight] = read_log(folder / LOG)[-1]["D/boxes_gap"]
    assert gaps[5.0] > 3 * max(gaps[0.0], 0.05)


@pytest.mark.parametrize(
    ("flipped", "critic_sign", "generator_sign"),
    [(("critic",), -1, 1), (("generator",), 1, -1), (("critic", "generator"), -1, -1), ((), 1, 1)],
)
def test_labels_flip_in_the_losses_that_are_named(flipped, critic_sign, generator_sign):
    plain, flips = small(penalty_weight=0.0, drift=0.0), small(
        penalty_weight=0.0, drift=0.0, label_flips=1.0, flipped=flipped
    )  # fmt: skip
    losses = {}
    for config in (plain, flips):
        generator, discriminator = networks(config)
        pair = cpggan.losses(config, images(), boxes(), generator, discriminator)
        losses[config] = [loss(turn_at(100)) for loss in pair]
    (d, told), (g, _) = losses[flips]
    (plain_d, plainly), (plain_g, _) = losses[plain]
    torch.testing.assert_close(d, critic_sign * plain_d)
    torch.testing.assert_close(g, generator_sign * plain_g)
    assert torch.equal(told["gap"], plainly["gap"])  # of the true labels


def test_a_third_of_the_rounds_flips_at_a_share_of_a_third():
    config = small(label_flips=1 / 3, penalty_weight=0.0, drift=0.0)
    generator, discriminator = networks(config)
    d_loss, _ = cpggan.losses(config, images(), boxes(), generator, discriminator)
    with torch.no_grad():
        flips = 0
        for seed in range(120):
            loss, scalars = d_loss(turn_at(0, seed))
            flips += bool(torch.sign(loss) == torch.sign(scalars["gap"]))
    assert 25 <= flips <= 55


@pytest.mark.parametrize(("trains", "index"), [("discriminator", 0), ("generator", 1)])
def test_a_phase_moves_its_own_network_and_no_other(tmp_path, trains, index):
    program = cpggan.program(small(), images(), boxes(), seed=1)
    before = {
        n: {k: v.clone() for k, v in m.state_dict().items()} for n, m in program.modules.items()
    }
    program.phases[:] = [program.phases[index]]
    program.averages.clear()
    steps = 1 if trains == "generator" else 12
    train(program, tmp_path, steps=steps, seed=1, options=LoopOptions(tick_steps=1))
    for name, module in program.modules.items():
        moved = any(not torch.equal(before[name][k], v) for k, v in module.state_dict().items())
        assert moved is (name == trains)


def test_weights_for_the_condition_learn(tmp_path):
    program = cpggan.program(small(), images(), boxes(), seed=1)
    weight = program.modules["generator"].blocks[1].first.weight
    before = weight.detach().clone()
    train(program, tmp_path, steps=14, seed=1, options=LoopOptions(tick_steps=7))
    assert (weight.detach() - before)[:, -1].abs().max() > 0


# ---- Drawing -------------------------------------------------------------------------------------


def test_an_image_depends_on_its_own_latent_and_boxes_only():
    config = small()
    generator, _ = networks(config)
    latents, condition = normal(5, 6), conditions(config, 5)
    together = cpggan.draw(generator, latents, condition, batch=2)
    alone = cpggan.draw(generator, latents[3:4], condition[3:4])
    torch.testing.assert_close(together[3:4], alone)
    assert cpggan.draw(generator, latents, condition, stage=Stage(1)).shape == (5, 1, 8, 8)


def test_the_condition_is_1_in_a_box_and_outside_as_configured():
    drawn = torch.tensor([0.0, 0.25, 1.0])
    assert small().condition(drawn).tolist() == [-1.0, -0.5, 1.0]
    assert small(outside=0.0).condition(drawn).tolist() == [0.0, 0.25, 1.0]


# ---- What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("crop_pixels", 3), ("condition_channels", -2), ("entrance", "beside"), ("outside", 1.0),
        ("label_flips", 1.5), ("mismatch_weight", -1.0), ("flipped", ("real",)),
        ("image_size", 24), ("batch_sizes", (3,)),
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_be_is_refused_by_name(name, value):
    with pytest.raises(PathoganError) as caught:
        small(**{name: value})
    assert name in str(caught.value)


def test_as_many_conditions_as_images_are_asked_for():
    with pytest.raises(PathoganError, match="are 19 for 20 images"):
        cpggan.program(small(), images(20), boxes(19), seed=0)


def test_a_configuration_survives_json():
    config = small(flipped=("critic", "generator"))
    assert cpggan.CPGGANConfig(**{**asdict(config), "flipped": ["critic", "generator"]}) == config
