"""CPGGAN, the progressively growing GAN that places lesions in boxes (thesis section 5.2.2).

PGGAN (`pggan`) with a condition (`cpggan_networks`): an image of boxes enters the generator at
every level and the critic with the image. A generated image is asked for with the boxes of real
ones, so that a critic that compares the two finds the same boxes in both, and the penalised points
between them, which are between images, have one condition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor, nn

from pathogan_core.errors import PathoganError
from pathogan_core.gans import objectives, pggan, sampling
from pathogan_core.gans.cpggan_networks import Discriminator, Entrance, Generator, seen_at
from pathogan_core.gans.growth import Stage
from pathogan_core.gans.mismatch import with_condition_gap
from pathogan_core.gans.pggan import PGGANConfig
from pathogan_core.gans.pggan_networks import at_stage
from pathogan_core.training.batches import DeviceImages
from pathogan_core.training.distribution import Distribution
from pathogan_core.training.phases import Loss, Program, Turn

REVISION = 1  # raise when a change here alters the result of an unchanged configuration

FLIPPABLE = ("critic", "generator")
AS_WIDE = -1
"""`condition_channels` that repeats the condition to the features' channels."""


@dataclass(frozen=True)
class CPGGANConfig(PGGANConfig):
    """Everything that decides a result; what is not named here is as in `PGGANConfig`.

    Args:
        batch_sizes: 4 (thesis). Its 3,000,000 steps at a batch of 4 are 12 million images, the
            length of the reference code's preset for one GPU, whose base batch is 4 but which uses
            128 at 4x4 px down to 8 at 256. A literal 4 at every level is the default.
        learning_rate: 2e-4 (thesis).
        crop_pixels: 0; a crop would have to move boxes too, and the thesis names none here.
        condition_channels: of the condition in each block of the generator. The thesis resizes it
            "to the previous generator's output resolution/channel size": read as one channel, 1, or
            as repeated to as many channels as the features have, -1. 0: no condition anywhere,
            which is PGGAN.
        entrance: ``before`` the features are doubled, at "the previous generator's output
            resolution" (thesis), or ``after``, at the block's own.
        outside: value of the condition where no box is; in a box it is 1. The thesis: 0 and 255,
            as an image has them, so -1 here; 0 is the other reading.
        label_flips: share of the rounds in which real and generated change places. Thesis: not for
            CPGGAN (it does so "once in three times" for 3D MCGAN); 0.
        flipped: the losses that such a round flips, of `FLIPPABLE`.
        mismatch_weight: of a term that the thesis does not have: the critic is also asked to value
            real images higher with their own boxes than with others' (`mismatch`). 0, as in
            the thesis, leaves it to find out by itself that boxes matter, which takes it longer.
    """

    batch_sizes: tuple[int, ...] = (4,)
    learning_rate: float = 2.0e-4
    crop_pixels: int = 0
    condition_channels: int = 1
    entrance: Entrance = "before"
    outside: float = -1.0
    label_flips: float = 0.0
    flipped: tuple[str, ...] = ("critic",)
    mismatch_weight: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "flipped", tuple(self.flipped))
        for name, wrong, remedy in (
            ("crop_pixels", self.crop_pixels != 0, "give 0: boxes are not moved with the image"),
            (
                "condition_channels",
                self.condition_channels < AS_WIDE,
                "give 1, 0 for none, or -1 for as many as the features have",
            ),
            (
                "entrance",
                self.entrance not in get_args(Entrance),
                f"choose {' or '.join(get_args(Entrance))}",
            ),
            ("outside", not -1 <= self.outside < 1, "give -1 or 0; a box is 1"),
            ("mismatch_weight", not self.mismatch_weight >= 0, "give 0 or more"),
            ("label_flips", not 0 <= self.label_flips <= 1, "give a share of 0 to 1"),
            (
                "flipped",
                not set(self.flipped) <= set(FLIPPABLE),
                f"name some of {', '.join(FLIPPABLE)}",
            ),
        ):
            if wrong:
                raise PathoganError(f"is {getattr(self, name)!r}", where=name, remedy=remedy)

    @property
    def conditional(self) -> bool:
        """Whether boxes are looked at."""
        return self.condition_channels != 0

    def networks(self) -> tuple[Generator, Discriminator]:
        """Generator and critic, not yet initialised."""
        return self.generator(), Discriminator(self.channels, self.stddev_group, self.conditional)

    def generator(self) -> Generator:
        """The generator alone."""
        return Generator(self.channels, self.latent, self.condition_channels, self.entrance)

    def condition(self, boxes: Tensor) -> Tensor:
        """The condition of boxes drawn in 0 to 1, ``[N, 1, S, S]``: in a box 1, else `outside`."""
        return self.outside + (1.0 - self.outside) * boxes


def program(
    config: CPGGANConfig,
    images: DeviceImages,
    boxes: DeviceImages,
    seed: int,
    device: torch.device | str = "cpu",
    distribution: Distribution | None = None,
) -> Program:
    """CPGGAN as phases D and G, ready for `pathogan_core.training.loop.train`.

    Args:
        images: ``[N, 1, image_size, image_size]``, with and without lesions.
        boxes: the boxes of each, drawn in an image of the same size: 0 outside, 255 in a box.

    Raises:
        PathoganError: as `pggan.program`, or images and boxes are not equally many.
    """
    pggan.check_groups(config, distribution or Distribution())
    check_pairs(config, images, boxes)
    generator, discriminator = config.networks()
    d_loss, g_loss = losses(config, images, boxes, generator, discriminator)
    return pggan.assembled(config, generator, discriminator, d_loss, g_loss, seed, device)


def check_pairs(config: CPGGANConfig, images: DeviceImages, boxes: DeviceImages) -> None:
    """Refuse images and drawn boxes that do not fit the configuration or each other."""
    for some in (images, boxes):
        pggan.check_images(config, some)
    if len(images) != len(boxes):
        raise PathoganError(
            f"are {len(boxes)} for {len(images)} images",
            where="boxes",
            remedy="draw one image of boxes for each image, black where it has no lesion",
        )


def losses(
    config: CPGGANConfig,
    images: DeviceImages,
    boxes: DeviceImages,
    generator: nn.Module,
    discriminator: nn.Module,
) -> tuple[Callable[[Turn], Loss], Callable[[Turn], Loss]]:
    """The loss of phase D and that of phase G, at the stage that a round's images say."""
    growth = config.growth

    def condition_of(rows: Tensor) -> Tensor:
        return config.condition((boxes[rows] + 1) / 2)

    def d_loss(turn: Turn) -> Loss:
        stage, batch = growth.at(turn.images), growth.batch_size(turn.images)
        rows = turn.indices(batch, len(images))
        real, condition = at_stage(images[rows], stage), condition_of(rows)
        latent, seen = turn.randn(batch, config.latent), seen_at(condition, stage)
        with torch.no_grad():
            fake = generator(latent, condition, stage.level, stage.alpha)

        def critic(shown: Tensor, boxes: Tensor = seen) -> Tensor:
            return discriminator(shown, boxes, stage.level, stage.alpha)

        told = pggan.critic_loss(
            critic, real, fake, turn.rand(batch), config.penalty_weight, config.drift,
            flipped=_flips(config, "critic", turn),
        )  # fmt: skip
        if not config.conditional:
            return told
        return with_condition_gap(told, critic, real, seen, config.mismatch_weight, "boxes_gap")

    def g_loss(turn: Turn) -> Loss:
        stage, batch = growth.at(turn.images), growth.batch_size(turn.images)
        latent = turn.randn(batch, config.latent)
        condition = condition_of(turn.indices(batch, len(images)))
        fake = generator(latent, condition, stage.level, stage.alpha)
        values = discriminator(fake, seen_at(condition, stage), stage.level, stage.alpha)
        loss, scalars = objectives.narrowing_loss(values)
        return (-loss if _flips(config, "generator", turn) else loss), scalars

    return d_loss, g_loss


def _flips(config: CPGGANConfig, loss: str, turn: Turn) -> bool:
    """Whether a round's labels change places in this loss; drawn only where they ever do."""
    if not config.label_flips or loss not in config.flipped:
        return False
    drawn = torch.rand(1, generator=turn.generator, device=turn.generator.device)
    return bool(drawn < config.label_flips)  # the same on every rank


def draw(
    generator: nn.Module,
    latents: Tensor,
    condition: Tensor,
    batch: int = 32,
    stage: Stage | None = None,
) -> Tensor:
    """Images of latents ``[N, latent]``, with lesions where conditions ``[N, 1, S, S]`` say.

    Args:
        condition: as `CPGGANConfig.condition` makes them.
        stage: where a run that ended early stands; without it the full network.

    Returns:
        Float ``[N, 1, R, R]`` on the CPU, not clipped.
    """
    return sampling.draw(pggan.staged(generator, stage), latents, batch, condition)
