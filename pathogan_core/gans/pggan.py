"""PGGAN, the progressively growing GAN of thesis section 4.2.2 (and the base of section 5's).

Networks (`pggan_networks`), objective and growth are those of Karras et al. (2018). Which levels
work, and how far the newest has faded in, are functions of the real images seen (`growth.Growth`).
A class (tumour, non-tumour) has a model of its own, as in the thesis, so there are no labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor, nn

from pathogan_core.errors import PathoganError
from pathogan_core.gans import objectives, sampling
from pathogan_core.gans.growth import Growth, Stage
from pathogan_core.gans.penalties import gradient_penalty
from pathogan_core.gans.pggan_networks import Discriminator, Generator, at_stage, initialise
from pathogan_core.training.batches import DeviceImages, shifted
from pathogan_core.training.distribution import Distribution
from pathogan_core.training.ema import MovingAverage
from pathogan_core.training.phases import Loss, Phase, Program, Turn

REVISION = 1  # raise when a change here alters the result of an unchanged configuration


@dataclass(frozen=True)
class PGGANConfig:
    """Everything that decides a result. Defaults are the thesis' or, where it is silent, named.

    "Paper" is Karras et al. (2018), "reference code" their TensorFlow code.

    Args:
        image_size: 256 in the thesis; any power of two from 8.
        width: most channels of a layer. Thesis silent; 512 (paper).
        full_width_to: resolution up to which layers have `width` channels; beyond it every doubling
            halves them. Thesis silent; 32 (paper: 256 channels at 64 px, 64 at 256 px).
        latent: size of the latent, whose direction alone counts. Thesis silent; 512 (paper).
        batch_sizes: by level, from 4x4 on; the last one holds for all further levels. 16 (thesis;
            the paper too, but 14 at 256 px). Reference code, one GPU: 128, 128, 128, 64, 32, 16, 8.
        stable_images, fade_images: real images of every phase in which a level stands alone, and of
            every fade. Thesis silent; 800,000 (paper), 600,000 (reference code). The thesis trains
            "for 100 epochs", of 4,679 tumour images 467,900 in all: as a whole run, its 13 phases
            have `growth.equal_phases` images each; as one phase, both values are that number.
        learning_rate: 1e-3 (thesis).
        beta1, beta2: Adam's moments. Thesis silent; 0 and 0.99 (paper).
        reset_moments: forget them whenever a fade begins or ends. Thesis and paper silent; the
            reference code does: a moment learnt under another loss surface is a wrong step size.
            A layer's moments begin with its first gradient either way.
        penalty_weight, drift: of WGAN-GP's penalty and of the mean squared value of real images.
            Thesis silent; 10 and 0.001 (paper).
        critic_steps: critic updates per generator update. Thesis silent; 1 (paper).
        stddev_group: samples that the minibatch standard deviation compares. Thesis silent; 4
            (reference code; the paper compares the whole minibatch).
        crop_pixels: the thesis crops at random "in 0-15 pixels". We read this as: an image of
            240 px lies 0 to 15 px from the edge of 256 px. 0: never moved.
        ema_half_life_images: average the generator. Thesis silent; the paper's decay of 0.999, at
            16 images an update. 0 keeps no average.
        bf16: autocast; weights, critic values, penalties, pixel norm, losses stay fp32.
    """

    image_size: int = 256
    width: int = 512
    full_width_to: int = 32
    latent: int = 512
    batch_sizes: tuple[int, ...] = (16,)
    stable_images: int = 800_000
    fade_images: int = 800_000
    learning_rate: float = 1.0e-3
    beta1: float = 0.0
    beta2: float = 0.99
    reset_moments: bool = True
    penalty_weight: float = 10.0
    drift: float = 1.0e-3
    critic_steps: int = 1
    stddev_group: int = 4
    crop_pixels: int = 15
    ema_half_life_images: float = 11_085.0
    bf16: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "batch_sizes", tuple(self.batch_sizes))  # JSON knows lists only
        if self.image_size < 8 or self.image_size & (self.image_size - 1):
            raise PathoganError(
                f"{self.image_size} is not a power of two from 8 on",
                where="image_size",
                remedy="use 256, as the thesis does",
            )
        least = {"latent": 1, "critic_steps": 1, "stddev_group": 1, "crop_pixels": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                problem = f"{getattr(self, name)} is too small"
                raise PathoganError(problem, where=name, remedy=f"give {bound} or more")
        if min(self.channels) < 1:
            raise PathoganError(
                f"{self.width} leaves no channel at {self.image_size} px",
                where="width",
                remedy="raise width or full_width_to",
            )
        check_groups(self, Distribution())

    @property
    def levels(self) -> int:
        """4x4 is the first, `image_size` the last."""
        return self.image_size.bit_length() - 2

    @property
    def channels(self) -> tuple[int, ...]:
        """Of the feature maps, by level."""
        sizes = (Stage(level).resolution for level in range(self.levels))
        return tuple(min(self.width, self.width * self.full_width_to // size) for size in sizes)

    @cached_property
    def growth(self) -> Growth:
        """When the networks grow."""
        return Growth(self.levels, self.stable_images, self.fade_images, self.batch_sizes)

    def steps(self, images: int) -> int:
        """Rounds of the loop until the critic has seen at least `images` real images."""
        return self.growth.steps(images, self.critic_steps)


def check_groups(config: PGGANConfig, distribution: Distribution) -> None:
    """Every rank's share of every batch is whole groups of the minibatch standard deviation."""
    for size in config.growth.level_batch_sizes:
        distribution.check_batch(size)
        if size // distribution.world % config.stddev_group:
            raise PathoganError(
                f"{size} on {distribution.world} device(s) is no multiple of the group of "
                f"{config.stddev_group} (stddev_group)",
                where="batch_sizes",
                remedy="change one of them",
            )


def program(
    config: PGGANConfig,
    images: DeviceImages,
    seed: int,
    device: torch.device | str = "cpu",
    distribution: Distribution | None = None,
) -> Program:
    """PGGAN as phases D and G, ready for `pathogan_core.training.loop.train`.

    Args:
        images: one class, ``[N, 1, image_size, image_size]``.

    Raises:
        PathoganError: there are fewer images than a batch has, they have another shape, or the
            ranks cannot share a batch in whole groups.
    """
    check_groups(config, distribution or Distribution())
    check_images(config, images)
    generator = Generator(config.channels, config.latent)
    discriminator = Discriminator(config.channels, config.stddev_group)
    d_loss, g_loss = losses(config, images, generator, discriminator)
    return assembled(config, generator, discriminator, d_loss, g_loss, seed, device)


def assembled(
    config: PGGANConfig,
    generator: nn.Module,
    discriminator: nn.Module,
    d_loss: Callable[[Turn], Loss],
    g_loss: Callable[[Turn], Loss],
    seed: int,
    device: torch.device | str,
) -> Program:
    """Networks with their first weights, and phases D and G, which count real images."""
    for module in (generator, discriminator):
        initialise(module, seed)
        module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    growth = config.growth
    restarts = growth.changes_phase if config.reset_moments else None
    phases = [
        Phase(
            "D", "discriminator", _adam(config, discriminator), d_loss,
            times=lambda step: config.critic_steps, images=growth.batch_size, restarts=restarts,
        ),
        Phase("G", "generator", _adam(config, generator), g_loss, restarts=restarts),
    ]  # fmt: skip
    averages = {}
    if config.ema_half_life_images:
        averages["generator"] = MovingAverage(generator, config.ema_half_life_images)
    modules = {"generator": generator, "discriminator": discriminator}
    return Program(modules, phases, averages, bf16=config.bf16)


def check_images(config: PGGANConfig, images: DeviceImages) -> None:
    """Refuse fewer images than a batch has, and images of another shape."""
    largest = max(config.growth.level_batch_sizes)
    if len(images) < largest:
        raise PathoganError(
            f"{len(images)} are fewer than a batch of {largest}",
            where="images",
            remedy="use more images or smaller batches",
        )
    shape = tuple(images[torch.tensor([0])].shape[1:])
    wanted = (1, config.image_size, config.image_size)
    if shape != wanted:
        raise PathoganError(
            f"have shape {' x '.join(map(str, shape))}, not {' x '.join(map(str, wanted))}",
            where="images",
            remedy="prepare them at image_size, in one channel",
        )


def _adam(config: PGGANConfig, module: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(
        module.parameters(), config.learning_rate, betas=(config.beta1, config.beta2)
    )


def losses(
    config: PGGANConfig, images: DeviceImages, generator: nn.Module, discriminator: nn.Module
) -> tuple[Callable[[Turn], Loss], Callable[[Turn], Loss]]:
    """The loss of phase D and that of phase G, at the stage that a round's images say."""
    growth = config.growth

    def generate(turn: Turn) -> Tensor:
        stage, batch = growth.at(turn.images), growth.batch_size(turn.images)
        return generator(turn.randn(batch, config.latent), stage.level, stage.alpha)

    def d_loss(turn: Turn) -> Loss:
        stage, batch = growth.at(turn.images), growth.batch_size(turn.images)
        real = images[turn.indices(batch, len(images))]
        if config.crop_pixels:
            real = cropped(real, turn, batch, config.crop_pixels)
        with torch.no_grad():
            fake = generate(turn)
        critic = partial(discriminator, level=stage.level, alpha=stage.alpha)
        mix = turn.rand(batch)
        return critic_loss(
            critic, at_stage(real, stage), fake, mix, config.penalty_weight, config.drift
        )

    def g_loss(turn: Turn) -> Loss:
        stage = growth.at(turn.images)
        return objectives.narrowing_loss(discriminator(generate(turn), stage.level, stage.alpha))

    return d_loss, g_loss


def cropped(images: Tensor, turn: Turn, batch_size: int, pixels: int) -> Tensor:
    """`images` moved by whole pixels, -8 to 7 each way where `pixels` is 15."""
    rows, columns = (turn.indices(batch_size, pixels + 1) - (pixels + 1) // 2 for _ in range(2))
    return shifted(images, rows, columns)


def critic_loss(
    critic: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    mix: Tensor,
    penalty_weight: float,
    drift: float,
    flipped: bool = False,
) -> Loss:
    """WGAN-GP's critic loss, and a pull of real images' values towards 0 (Karras et al. 2018, A.1).

    Real and generated images pass the critic separately: the minibatch standard deviation would
    compare one with the other.

    Args:
        critic: images to fp32 ``[N]``.
        real, fake: float ``[N, ...]``, of one shape.
        mix: uniform ``[N]``; see `gradient_penalty`.
        flipped: real images are called generated and the reverse; the logged gap stays that of the
            true labels.
    """
    real_values = critic(real)
    loss, scalars = objectives.critic_loss(real_values, critic(fake))
    loss = -loss if flipped else loss
    penalty = gradient_penalty(critic, real, fake, mix).mean()
    loss = loss + penalty_weight * penalty + drift * real_values.square().mean()
    return loss, {**scalars, "penalty": penalty}


class AtStage(nn.Module):
    """A generator as it is at one stage: a network of the latent (and a condition) alone."""

    def __init__(self, generator: nn.Module, stage: Stage):
        super().__init__()
        self.generator, self.stage = generator, stage
        self.train(generator.training)

    def forward(self, latent: Tensor, *condition: Tensor) -> Tensor:
        return self.generator(latent, *condition, self.stage.level, self.stage.alpha)


def sample(
    generator: nn.Module,
    count: int,
    latent: int,
    seed: int,
    batch: int = 32,
    stage: Stage | None = None,
) -> Tensor:
    """`count` images, float ``[count, 1, R, R]`` on the CPU, not yet clipped, as `sampling.sample`.

    Args:
        generator: a `Generator`, best a program's ``best("generator")``: the average, if kept.
        stage: where a run that ended early stands, ``config.growth.at(images seen)``, or an earlier
            one; without it the full network.
    """
    return sampling.sample(staged(generator, stage), count, latent, seed, batch)


def draw(
    generator: nn.Module, latents: Tensor, batch: int = 32, stage: Stage | None = None
) -> Tensor:
    """Images of given latents ``[N, latent]``: float ``[N, 1, R, R]`` on the CPU, not clipped."""
    return sampling.draw(staged(generator, stage), latents, batch)


def staged(generator: nn.Module, stage: Stage | None) -> nn.Module:
    """`AtStage`, or the full network where no stage is given."""
    return generator if stage is None else AtStage(generator, stage)
