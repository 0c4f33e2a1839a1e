"""DCGAN and WGAN on brain MR slices (thesis section 3.2.2).

Both share one architecture: Radford et al.'s, with filters of 4x4 everywhere, half the channels,
no tanh in the generator and ELU in the discriminator. They differ in objective and optimiser:
DCGAN plays the non-saturating game with Adam; WGAN (Arjovsky et al. 2017) estimates the
Wasserstein distance with a weight-clipped critic and RMSprop.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pathogan_core.errors import PathoganError
from pathogan_core.gans.layers import BatchNorm2d
from pathogan_core.gans.objectives import critic_loss, fooling_loss, game_loss, narrowing_loss
from pathogan_core.training.batches import DeviceImages
from pathogan_core.training.distribution import Distribution
from pathogan_core.training.ema import MovingAverage
from pathogan_core.training.phases import Loss, Phase, Program, Turn
from pathogan_core.training.randomness import generator_for

REVISION = 2  # raise when a change here alters the result of an unchanged configuration


@dataclass(frozen=True)
class DCGANConfig:
    """Everything that decides a result. Defaults are the thesis' or, where it is silent, named.

    Args:
        objective: ``dcgan`` or ``wgan``.
        image_size: 64 or 128 in the thesis; any power of two from 8.
        width: channels of the generator's last hidden layer; 64 is half of the paper's 128 and
            the reference code's; 32 is half of that.
        batch_size: 64 (thesis).
        learning_rate: 2e-4 for Adam, 5e-5 for RMSprop (thesis).
        latent: standard normal latent size. Thesis silent; 100 as in both reference codes.
        beta1: Adam's first moment. Thesis silent; 0.5 (Radford et al.).
        clip: WGAN's bound on every weight. Thesis silent; 0.01 (reference code).
        critic_steps: critic updates per generator update. Thesis silent; 5 (reference code).
        warmup_steps, warmup_critic_steps: the first generator updates get this many critic updates
            each. Thesis silent; 25 and 100 in the reference code.
        burst_every: every so many generator updates get `warmup_critic_steps` again; 500 in the
            reference code, 0 for never.
        ema_half_life_images: average the generator; 0 (thesis: no average) keeps none.
        bf16: autocast; weights, losses and statistics stay fp32.
    """

    objective: Literal["dcgan", "wgan"] = "wgan"
    image_size: int = 64
    width: int = 64
    batch_size: int = 64
    learning_rate: float = 5.0e-5
    latent: int = 100
    beta1: float = 0.5
    clip: float = 0.01
    critic_steps: int = 5
    warmup_steps: int = 25
    warmup_critic_steps: int = 100
    burst_every: int = 500
    ema_half_life_images: float = 0.0
    bf16: bool = False

    def __post_init__(self) -> None:
        if self.objective not in ("dcgan", "wgan"):
            raise PathoganError(
                f"{self.objective!r} is unknown", where="objective", remedy="use dcgan or wgan"
            )
        if self.image_size < 8 or self.image_size & (self.image_size - 1):
            raise PathoganError(
                f"{self.image_size} is not a power of two from 8 on",
                where="image_size",
                remedy="use 64 or 128, as the thesis does",
            )

    def critic_updates(self, step: int) -> int:
        """Discriminator updates that generator update `step` (from 0) is preceded by."""
        if self.objective == "dcgan":
            return 1
        burst = self.burst_every > 0 and step % self.burst_every == 0
        return self.warmup_critic_steps if burst or step < self.warmup_steps else self.critic_steps


def _widths(config: DCGANConfig) -> list[int]:
    """Channels from the 4x4 layer outwards: 256, 128, 64, 32 at 64 px; one more level at 128 px."""
    levels = int(math.log2(config.image_size)) - 2
    return [config.width * 2**level for level in reversed(range(levels))]


class Generator(nn.Module):
    """Latent ``[N, latent]`` to image ``[N, 1, S, S]``, unbounded (no tanh): clip when saving."""

    def __init__(self, config: DCGANConfig):
        super().__init__()
        widths = _widths(config)
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(config.latent, widths[0], 4, 1, 0, bias=False),
            BatchNorm2d(widths[0]),
            nn.ReLU(),
        ]
        for inside, outside in itertools.pairwise(widths):
            layers += [
                nn.ConvTranspose2d(inside, outside, 4, 2, 1, bias=False),
                BatchNorm2d(outside),
                nn.ReLU(),
            ]
        layers += [nn.ConvTranspose2d(widths[-1], 1, 4, 2, 1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, latent: Tensor) -> Tensor:
        return self.layers(latent[:, :, None, None])


class Discriminator(nn.Module):
    """Image ``[N, 1, S, S]`` to one unbounded number ``[N]``: a logit (DCGAN), a critic (WGAN)."""

    def __init__(self, config: DCGANConfig):
        super().__init__()
        widths = _widths(config)[::-1]
        layers: list[nn.Module] = [nn.Conv2d(1, widths[0], 4, 2, 1), nn.ELU()]
        for inside, outside in itertools.pairwise(widths):
            layers += [
                nn.Conv2d(inside, outside, 4, 2, 1, bias=False),
                BatchNorm2d(outside),
                nn.ELU(),
            ]
        layers += [nn.Conv2d(widths[-1], 1, 4, 1, 0)]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        features = self.layers[:-1](images)
        # A clipped critic's gap is smaller than the steps of bfloat16: the output is float32.
        with torch.autocast(images.device.type, enabled=False):
            return self.layers[-1](features.float()).flatten()


def initialise(module: nn.Module, seed: int) -> None:
    """Weights N(0, 0.02), batch-norm scales N(1, 0.02), biases 0 (Radford et al. 2016)."""
    for name, parameter in module.named_parameters():
        generator = generator_for(seed, "initialise", type(module).__name__, name)
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        else:
            mean = 1.0 if parameter.ndim == 1 else 0.0
            nn.init.normal_(parameter, mean, 0.02, generator=generator)


def program(
    config: DCGANConfig,
    images: DeviceImages,
    seed: int,
    device: torch.device | str = "cpu",
    distribution: Distribution | None = None,
) -> Program:
    """DCGAN or WGAN as phases D and G, ready for `pathogan_core.training.loop.train`."""
    (distribution or Distribution()).check_batch(config.batch_size)
    generator, discriminator = Generator(config), Discriminator(config)
    for module in (generator, discriminator):
        initialise(module, seed)
        module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    d_loss, g_loss = losses(config, images, generator, discriminator)
    clip = (
        (lambda: clip_weights(discriminator, config.clip)) if config.objective == "wgan" else None
    )
    phases = [
        Phase(
            "D", "discriminator", _optimizer(config, discriminator), d_loss,
            times=config.critic_updates, images=config.batch_size, after=clip,
        ),
        Phase("G", "generator", _optimizer(config, generator), g_loss),
    ]  # fmt: skip
    averages = {}
    if config.ema_half_life_images:
        averages["generator"] = MovingAverage(generator, config.ema_half_life_images)
    modules = {"generator": generator, "discriminator": discriminator}
    return Program(modules, phases, averages, bf16=config.bf16)


def _optimizer(config: DCGANConfig, module: nn.Module) -> torch.optim.Optimizer:
    if config.objective == "wgan":
        return torch.optim.RMSprop(module.parameters(), config.learning_rate)
    return torch.optim.Adam(module.parameters(), config.learning_rate, betas=(config.beta1, 0.999))


OBJECTIVES = {"dcgan": (game_loss, fooling_loss), "wgan": (critic_loss, narrowing_loss)}


def losses(
    config: DCGANConfig, images: DeviceImages, generator: nn.Module, discriminator: nn.Module
) -> tuple[Callable[[Turn], Loss], Callable[[Turn], Loss]]:
    """The loss of phase D and that of phase G; DCGAN and WGAN differ in `OBJECTIVES` only.

    Real and generated images pass the discriminator separately: a mixed batch would share its
    batch-norm statistics and give the answer away.
    """
    d_objective, g_objective = OBJECTIVES[config.objective]

    def d_loss(turn: Turn) -> Loss:
        real = discriminator(images[turn.indices(config.batch_size, len(images))])
        with torch.no_grad():
            generated = generator(turn.randn(config.batch_size, config.latent))
        return d_objective(real, discriminator(generated))

    def g_loss(turn: Turn) -> Loss:
        return g_objective(discriminator(generator(turn.randn(config.batch_size, config.latent))))

    return d_loss, g_loss


@torch.no_grad()
def clip_weights(critic: nn.Module, bound: float) -> None:
    """Clamp every parameter to [-bound, bound], after each update (WGAN, algorithm 1).

    Differs: the reference code clips *before* each critic update, so the generator there meets a
    critic whose last update is unclipped; we follow the paper.
    """
    for parameter in critic.parameters():
        parameter.clamp_(-bound, bound)
