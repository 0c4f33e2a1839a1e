"""The image-to-image GAN: what its U-Net sees, what its losses are, who learns, what is refused."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from torch import Tensor

from pathogan_core import boxes as box_arrays
from pathogan_core.errors import PathoganError
from pathogan_core.gans import cpggan, dcgan, pggan_networks, pix2pix, sampling
from pathogan_core.gans.pix2pix import Pix2PixConfig
from pathogan_core.training.batches import DeviceImages
from pathogan_core.training.distribution import Distribution
from pathogan_core.training.log import read_log
from pathogan_core.training.loop import LOG, LoopOptions, train
from pathogan_core.training.phases import Turn
from pathogan_core.training.randomness import generator_for

SIZE = 16


def small(**changes) -> Pix2PixConfig:
    settings = {
        "image_size": SIZE, "width": 4, "levels": 3, "critic_width": 8, "full_width_to": 8,
        "stddev_group": 2, "ema_half_life_images": 20.0,
    }  # fmt: skip
    return Pix2PixConfig(**{**settings, **changes})


def images(count: int = 20) -> DeviceImages:
    shape = (count, SIZE, SIZE)
    return DeviceImages(np.random.default_rng(0).integers(0, 256, shape, np.uint8))


def boxes(count: int = 20) -> DeviceImages:
    rng = np.random.default_rng(1)
    low, side = rng.integers(0, 8, (count, 2)), rng.integers(2, 8, (count, 2))
    drawn = [box_arrays.drawn([[*a, *(a + s)]], SIZE) for a, s in zip(low, side, strict=True)]
    return DeviceImages(np.round(255 * np.stack(drawn)).astype(np.uint8))


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def conditions(config: Pix2PixConfig, count: int = 4) -> Tensor:
    return config.condition((boxes()[torch.arange(count)] + 1) / 2)


def networks(config: Pix2PixConfig):
    generator, discriminator = config.networks()
    dcgan.initialise(generator, 0)
    pggan_networks.initialise(discriminator, 0)
    return generator, discriminator


def turn(seed: int = 3) -> Turn:
    return Turn(0, 0, 0, generator_for(seed), Distribution())


# ---- The U-Net -----------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("noise", [0, 1, 2])
def test_an_image_is_as_large_as_its_boxes_and_depends_on_them_and_on_all_noise(levels, noise):
    config = small(levels=levels, noise_channels=noise)
    generator, _ = networks(config)
    latent, condition = normal(4, config.latent), conditions(config)
    made = generator(latent, condition)
    assert made.shape == (4, 1, SIZE, SIZE)
    assert not torch.equal(made, generator(latent, condition.roll(1, 0)))
    for channel in range(noise):
        changed = latent.clone().reshape(4, noise, SIZE, SIZE)
        changed[:, channel] = 0
        assert not torch.equal(made, generator(changed.flatten(1), condition))


def test_widths_double_up_to_eight_times_the_first():
    generator = Pix2PixConfig(image_size=256, width=6, levels=6).generator()
    down = [
        generator.down[0].out_channels,
        *(layer[0].out_channels for layer in generator.down[1:]),
    ]
    assert down == [6, 12, 24, 48, 48, 48]
    entering = [layer[0].in_channels for layer in generator.up]
    assert entering == [48, 96, 96, 48, 24]
    assert generator.to_image.in_channels == 12


def test_the_defaults_are_four_convolutions_and_four_back_to_one_image():
    generator = Pix2PixConfig().generator()
    assert len(generator.down) == len(generator.up) + 1 == 4
    layers = [generator.down[0], *(layer[0] for layer in (*generator.down[1:], *generator.up))]
    assert all(layer.kernel_size == (4, 4) and layer.stride == (2, 2) for layer in layers)


def test_skips_carry_fine_detail_past_the_deepest_map():
    """With all that comes from below at 0, each halving still reaches the image."""
    config = small()
    generator, _ = networks(config)
    with torch.no_grad():
        generator.up[0][0].weight.zero_()  # nothing of the deepest map is left
    latent, condition = normal(2, config.latent), conditions(config, 2)
    one, other = generator(latent, condition), generator(latent, condition.flip(0))
    assert not torch.equal(one, other)
    with torch.no_grad():
        generator.up[1][0].weight[4 * 2 :].zero_()  # nor of the middle halving
        generator.to_image.weight[4:].zero_()  # nor of the first
    one, other = generator(latent, condition), generator(latent, condition.flip(0))
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("normalisation", ["instance", "batch"])
def test_an_image_is_drawn_without_regard_to_the_others(normalisation):
    config = small(normalisation=normalisation)
    generator, _ = networks(config)
    latents, condition = normal(5, config.latent), conditions(config, 5)
    generator(latents, condition)  # running statistics, where there are any
    together = sampling.draw(generator, latents, 2, condition)
    alone = sampling.draw(generator, latents[3:4], 2, condition[3:4])
    torch.testing.assert_close(together[3:4], alone)


@pytest.mark.parametrize(("normalisation", "alike"), [("instance", True), ("batch", False)])
def test_batch_statistics_tie_images_together_in_training_and_instances_do_not(
    normalisation, alike
):
    config = small(normalisation=normalisation)
    generator, _ = networks(config)
    latents, condition = normal(4, config.latent), conditions(config)
    apart = torch.cat(
        [generator(latents[:2], condition[:2]), generator(latents[2:], condition[2:])]
    )
    assert torch.allclose(generator(latents, condition), apart, atol=1e-5) is alike


# ---- Losses --------------------------------------------------------------------------------------


class RecordingCritic(torch.nn.Module):
    """Linear in the image; remembers what it was shown."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.shown: list[tuple[Tensor, Tensor]] = []

    def forward(self, shown, condition):
        self.shown.append((shown.detach(), condition.detach()))
        return (shown * self.weight).mean((1, 2, 3)) + condition.mean((1, 2, 3))


class Mirror(torch.nn.Module):
    """Generates the negative of its condition, whatever the noise."""

    def __init__(self):
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(1))

    def forward(self, latent, condition):
        return -condition + self.bias


def test_fakes_have_the_real_batchs_own_boxes_and_the_penalty_interpolates_images_only():
    critic = RecordingCritic()
    d_loss, _ = pix2pix.losses(small(), images(), boxes(), Mirror(), critic)
    d_loss(turn())
    (real, seen), (fake, with_fake), (between, with_between), (_, own), (_, wrong) = critic.shown
    rows = turn().indices(4, 20)
    assert torch.equal(real, images()[rows])
    assert torch.equal(seen, small().condition((boxes()[rows] + 1) / 2))
    assert torch.equal(fake, -seen)
    assert torch.equal(with_fake, seen)
    assert torch.equal(with_between, seen)
    way, gone = (real - fake).flatten(1), (between - fake).flatten(1)
    mix = (gone * way).sum(1) / way.square().sum(1)
    torch.testing.assert_close(gone, mix[:, None] * way)
    assert torch.equal(own, seen)
    assert torch.equal(wrong, seen.roll(1, 0))


def test_it_has_the_losses_of_cpggan_that_has_nothing_to_grow():
    """The same critic, images, boxes and fakes: the same numbers."""
    config = small(mismatch_weight=1.5)
    _, critic = networks(config)
    told, _ = pix2pix.losses(config, images(), boxes(), Mirror(), critic)[0](turn())
    grown = cpggan.CPGGANConfig(
        **{**asdict(config.critic), "latent": config.latent, "mismatch_weight": 1.5,
           "stable_images": 1, "fade_images": 0}
    )  # fmt: skip

    class Grown(Mirror):
        def forward(self, latent, condition, level, alpha):
            return super().forward(latent, condition)

    d_loss, _ = cpggan.losses(grown, images(), boxes(), Grown(), critic)
    late = Turn(0, 0, 100, generator_for(3), Distribution())
    torch.testing.assert_close(told, d_loss(late)[0])


def test_the_difference_to_the_real_image_weighs_what_is_said():
    found = {}
    for weight in (0.0, 100.0):
        config = small(l1_weight=weight)
        _, g_loss = pix2pix.losses(config, images(), boxes(), Mirror(), RecordingCritic())
        found[weight] = g_loss(turn())
    (plain, scalars), (weighted, told) = found.values()
    rows = turn().indices(4, 20)
    fake = -config.condition((boxes()[rows] + 1) / 2)
    expected = (fake - images()[rows]).abs().mean()
    torch.testing.assert_close(told["difference"], expected)
    torch.testing.assert_close(weighted - plain, 100 * expected)
    assert "difference" not in scalars


# ---- Training ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("trains", "index"), [("discriminator", 0), ("generator", 1)])
def test_a_phase_moves_its_own_network_and_no_other(tmp_path, trains, index):
    program = pix2pix.program(small(), images(), boxes(), seed=1)
    before = {
        n: {k: v.clone() for k, v in m.state_dict().items()} for n, m in program.modules.items()
    }
    program.phases[:] = [program.phases[index]]
    program.averages.clear()
    train(program, tmp_path, steps=1, seed=1, options=LoopOptions(tick_steps=1))
    for name, module in program.modules.items():
        moved = {k: not torch.equal(before[name][k], v) for k, v in module.state_dict().items()}
        assert any(moved.values()) is (name == trains)
        if name == "generator" and trains == "generator":
            assert all(moved.values()), [k for k, changed in moved.items() if not changed]


def test_a_run_that_is_cut_ends_as_one_that_is_not(tmp_path):
    config = small(normalisation="batch", mismatch_weight=1.0)
    ends = {}
    for name, parts in (("whole", [8]), ("cut", [3, 8])):
        for steps in parts:
            program = pix2pix.program(config, images(), boxes(), seed=2)
            options = LoopOptions(tick_steps=1)
            train(program, tmp_path / name, steps=steps, seed=2, options=options)
        ends[name] = program.checkpointed
    for name, module in ends["whole"].items():
        for key, value in module.state_dict().items():
            assert torch.equal(ends["cut"][name].state_dict()[key], value), f"{name}.{key}"


def test_it_learns_to_put_bright_things_into_boxes(tmp_path):
    """Images that show their own box, bright on grey."""
    drawn = boxes(64)
    shown = ((drawn[torch.arange(64)][:, 0].numpy() + 1) * 100 + 20).astype(np.uint8)
    config = small(
        width=8, critic_width=16, learning_rate=2e-3, mismatch_weight=1.0, batch_size=8,
        ema_half_life_images=100.0,
    )  # fmt: skip
    program = pix2pix.program(config, DeviceImages(shown), drawn, seed=0)
    train(program, tmp_path, steps=250, seed=0, options=LoopOptions(tick_steps=50))
    condition = conditions(config, 16)
    latents = sampling.latents(16, config.latent, 0)
    made = sampling.draw(program.best("generator"), latents, 16, condition)
    inside = condition > 0
    assert made[inside].mean() - made[~inside].mean() > 0.5
    assert read_log(tmp_path / LOG)[-1]["D/boxes_gap"] > 0.1


# ---- What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_size", 24), ("image_size", 8), ("levels", 4), ("levels", 0), ("width", 0),
        ("noise_channels", -1), ("normalisation", "layer"), ("outside", 1.0), ("l1_weight", -1.0),
        ("mismatch_weight", -1.0), ("critic_steps", 0),
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_be_is_refused_by_name(name, value):
    with pytest.raises(PathoganError) as caught:
        small(**{name: value})
    assert name in str(caught.value)


def test_a_batch_is_whole_groups():
    with pytest.raises(PathoganError, match="stddev_group"):
        small(batch_size=3)


def test_as_many_conditions_as_images_are_asked_for():
    with pytest.raises(PathoganError, match="are 19 for 20 images"):
        pix2pix.program(small(), images(20), boxes(19), seed=0)


def test_rounds_that_show_the_critic_enough_images():
    config = small(batch_size=4, critic_steps=2)
    assert [config.steps(count) for count in (1, 8, 9)] == [1, 1, 2]


def test_a_configuration_survives_json():
    config = small(noise_channels=2, normalisation="batch")
    assert Pix2PixConfig(**json.loads(json.dumps(asdict(config)))) == config
