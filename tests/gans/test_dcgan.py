"""DCGAN and WGAN as thesis section 3.2.2 states them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from pathogan_core.errors import PathoganError
from pathogan_core.gans import dcgan, sampling
from pathogan_core.training.batches import DeviceImages, to_uint8, to_unit_range
from pathogan_core.training.distribution import Distribution
from pathogan_core.training.loop import train
from pathogan_core.training.phases import Turn
from pathogan_core.training.randomness import derive_seed, generator_for


def small(objective: str, **changes) -> dcgan.DCGANConfig:
    settings = {"image_size": 16, "width": 4, "batch_size": 8, "latent": 6, "learning_rate": 1e-3}
    return dcgan.DCGANConfig(objective, **{**settings, **changes})


def images(seed: int = 0) -> DeviceImages:
    return DeviceImages(np.random.default_rng(seed).integers(0, 256, (20, 16, 16), np.uint8))


@pytest.mark.parametrize("size", [64, 128])
def test_architecture_has_half_of_the_papers_channels(size):
    config = dcgan.DCGANConfig(image_size=size)
    generator, critic = dcgan.Generator(config), dcgan.Discriminator(config)
    convolutions = [
        m for n in (generator, critic) for m in n.modules()
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)
    ]  # fmt: skip
    assert {m.kernel_size for m in convolutions} == {(4, 4)}
    outward = [m.out_channels for m in generator.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert outward == ([512, 256, 128, 64, 1] if size == 64 else [1024, 512, 256, 128, 64, 1])
    assert not any(isinstance(m, nn.Tanh) for m in generator.modules())
    assert not any(isinstance(m, nn.LeakyReLU | nn.Sigmoid) for m in critic.modules())
    assert sum(isinstance(m, nn.ELU) for m in critic.modules()) == len(outward) - 1
    made = generator(torch.zeros(2, 100))
    assert made.shape == (2, 1, size, size)
    assert critic(made).shape == (2,)


def test_a_critic_under_bfloat16_answers_in_float32_steps():
    """The gap of a clipped critic is smaller than the steps of bfloat16 at its outputs."""
    critic = dcgan.Discriminator(dcgan.DCGANConfig(image_size=16, width=4))
    with torch.autocast("cpu", torch.bfloat16):
        answers = critic(torch.randn(32, 1, 16, 16, generator=torch.Generator().manual_seed(0)))
    assert answers.dtype == torch.float32
    assert (answers != answers.bfloat16().float()).float().mean() > 0.9


def test_critic_schedule_is_the_reference_codes():
    config = dcgan.DCGANConfig("wgan")
    counts = [config.critic_updates(step) for step in (0, 24, 25, 499, 500, 501, 1000)]
    assert counts == [100, 100, 5, 5, 100, 5, 100]
    assert dcgan.DCGANConfig("dcgan").critic_updates(0) == 1


def test_objectives_against_closed_forms():
    """A discriminator of constant output c has known losses for every image."""
    constant = 0.7

    class Constant(nn.Module):
        def forward(self, x):
            return torch.full((len(x),), constant)

    turn = Turn(0, 0, 0, generator_for(0), Distribution())
    generator = dcgan.Generator(small("dcgan"))
    d_loss, g_loss = dcgan.losses(small("dcgan"), images(), generator, Constant())
    p = 1 / (1 + math.exp(-constant))
    assert d_loss(turn)[0].item() == pytest.approx(-math.log(p) - math.log(1 - p), rel=1e-5)
    assert g_loss(turn)[0].item() == pytest.approx(-math.log(p), rel=1e-5)
    d_loss, g_loss = dcgan.losses(small("wgan"), images(), generator, Constant())
    assert d_loss(turn)[0].item() == pytest.approx(0, abs=1e-6)
    assert g_loss(turn)[0].item() == pytest.approx(-constant, rel=1e-6)


def test_critic_weights_stay_within_the_clip(tmp_path):
    program = dcgan.program(small("wgan", clip=0.003, warmup_steps=0), images(), seed=0)
    train(program, tmp_path, steps=2, seed=0)
    largest = max(p.abs().max().item() for p in program.modules["discriminator"].parameters())
    assert largest == pytest.approx(0.003)
    assert max(p.abs().max() for p in program.modules["generator"].parameters()) > 0.003


@pytest.mark.parametrize("objective", ["dcgan", "wgan"])
def test_phases_move_only_what_they_train(tmp_path, objective):
    for index, moved in enumerate(("discriminator", "generator")):
        program = dcgan.program(small(objective, warmup_steps=0), images(), seed=0)
        before = {n: [p.clone() for p in m.parameters()] for n, m in program.modules.items()}
        program.phases = [program.phases[index]]
        train(program, tmp_path / moved, steps=1, seed=0)
        for name, module in program.modules.items():
            equal = all(
                torch.equal(a, b) for a, b in zip(before[name], module.parameters(), strict=True)
            )
            assert equal == (name != moved)


def test_a_sample_depends_on_its_own_latent_only():
    generator = dcgan.Generator(small("dcgan"))
    dcgan.initialise(generator, 0)
    many, few = (sampling.sample(generator, n, 6, seed=1, batch=3) for n in (10, 4))
    torch.testing.assert_close(many[:4], few, atol=1e-6, rtol=1e-5)
    assert generator.training


def test_initial_weights_are_a_function_of_the_seed():
    first, again, other = (dcgan.program(small("dcgan"), images(), seed=s) for s in (1, 1, 2))
    models = [p.modules["generator"].parameters() for p in (first, again, other)]
    for a, b, c in zip(*models, strict=True):
        assert torch.equal(a, b)
        assert (a.ndim == 1 and (a == 0).all()) or not torch.equal(a, c)  # biases are all zero


def test_8_bit_round_trip_and_clip_at_saving():
    every = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(to_unit_range(every)), every)
    assert to_uint8(torch.tensor([-3.0, 3.0])).tolist() == [0, 255]


def test_seeds_of_neighbouring_keys_differ():
    seeds = {
        derive_seed(s, p, t, r) for s in range(3) for p in "DG" for t in range(9) for r in "ab"
    }
    assert len(seeds) == 3 * 2 * 9 * 2


@pytest.mark.parametrize(
    ("changes", "line"),
    [({"objective": "vae"}, "objective: 'vae' is unknown"), ({"image_size": 100}, "image_size")],
)
def test_impossible_configurations_are_one_line(changes, line):
    with pytest.raises(PathoganError, match=line):
        dcgan.DCGANConfig(**changes)


def test_batch_that_ranks_cannot_share_is_refused():
    with pytest.raises(PathoganError, match="cannot be shared by 3 processes"):
        dcgan.program(small("dcgan"), images(), seed=0, distribution=Distribution(0, 3))
