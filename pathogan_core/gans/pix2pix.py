"""The image-to-image GAN that CPGGAN is compared with (thesis section 5.2.2).

"A conventional conditional GAN with a U-Net-like generator": that is all the thesis says. Here its
critic, losses and boxes are CPGGAN's at full resolution (`cpggan`), so that the two differ in what
the comparison is about: the boxes are turned into an image, at once, instead of entering image
after image that grows from noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pathogan_core.errors import PathoganError
from pathogan_core.gans import cpggan, dcgan, objectives, pggan, pggan_networks
from pathogan_core.gans.cpggan_networks import Discriminator
from pathogan_core.gans.domains import check_least
from pathogan_core.gans.layers import BatchNorm2d
from pathogan_core.gans.mismatch import with_condition_gap
from pathogan_core.training.batches import DeviceImages
from pathogan_core.training.distribution import Distribution
from pathogan_core.training.ema import MovingAverage
from pathogan_core.training.phases import Loss, Phase, Program, Turn

REVISION = 1  # raise when a change here alters the result of an unchanged configuration

Normalisation = Literal["instance", "batch"]


@dataclass(frozen=True)
class Pix2PixConfig:
    """Everything that decides a result. The thesis says no more than the module's first sentence.

    What is called ours is our choice. Batch, rate and length of training are CPGGAN's in the
    thesis' words on *its* training, which we read as those of both.

    Args:
        image_size: 256 in the thesis; any power of two from 16.
        width: channels of the generator's first layer; each further one has twice as many, up to
            eight times. 64 (pix2pix).
        levels: how often the generator halves an image, and doubles it again. Ours, 4. At 256 px
            the deepest map is then of 16 x 16 points, each of which sees 46 px.
        noise_channels: images of noise, standard normal, beside that of the boxes. Ours, 1. pix2pix
            has none, and draws by dropout; without either, boxes have one image each.
        normalisation: of the generator's inner layers. ``instance`` (ours): an image depends on its
            own boxes and noise only, in training as when drawn. ``batch`` (pix2pix, where a batch
            is one image, which is the same thing): drawn with running statistics.
        critic_width, full_width_to, stddev_group: of the critic, as in `PGGANConfig`.
        batch_size: 4; CPGGAN's in the thesis.
        learning_rate: 2e-4; CPGGAN's in the thesis.
        beta1, beta2, penalty_weight, drift, critic_steps, ema_half_life_images: as CPGGAN's.
        outside, mismatch_weight: as in `CPGGANConfig`.
        l1_weight: of the mean absolute difference to the real image with these boxes. 100 in
            pix2pix, where one image answers another; 0 here (ours): a slice has few boxes and much
            else, which they do not say, so that this term asks for the mean of all brains.
        bf16: autocast; weights, critic values, penalties, losses stay fp32.
    """

    image_size: int = 256
    width: int = 64
    levels: int = 4
    noise_channels: int = 1
    normalisation: Normalisation = "instance"
    critic_width: int = 512
    full_width_to: int = 32
    stddev_group: int = 4
    batch_size: int = 4
    learning_rate: float = 2.0e-4
    beta1: float = 0.0
    beta2: float = 0.99
    penalty_weight: float = 10.0
    drift: float = 1.0e-3
    critic_steps: int = 1
    outside: float = -1.0
    mismatch_weight: float = 0.0
    l1_weight: float = 0.0
    ema_half_life_images: float = 11_085.0
    bf16: bool = False

    def __post_init__(self) -> None:
        check_least(
            self, width=1, levels=1, noise_channels=0, critic_steps=1, stddev_group=1,
            mismatch_weight=0, l1_weight=0, penalty_weight=0,
        )  # fmt: skip
        if self.image_size < 16 or self.image_size & (self.image_size - 1):
            raise PathoganError(
                f"{self.image_size} is not a power of two from 16 on",
                where="image_size",
                remedy="use 256, as the thesis does",
            )
        if self.image_size >> self.levels < 2:
            raise PathoganError(
                f"{self.levels} halvings of {self.image_size} px leave less than 2 x 2 points",
                where="levels",
                remedy="give fewer",
            )
        if self.normalisation not in get_args(Normalisation):
            remedy = f"choose {' or '.join(get_args(Normalisation))}"
            raise PathoganError(f"is {self.normalisation!r}", where="normalisation", remedy=remedy)
        if not -1 <= self.outside < 1:
            remedy = "give -1 or 0; a box is 1"
            raise PathoganError(f"is {self.outside!r}", where="outside", remedy=remedy)
        pggan.check_groups(self.critic, Distribution())

    @property
    def critic(self) -> cpggan.CPGGANConfig:
        """A CPGGAN that has nothing to grow: of this configuration's critic and batch."""
        return cpggan.CPGGANConfig(
            image_size=self.image_size,
            width=self.critic_width,
            full_width_to=self.full_width_to,
            stddev_group=self.stddev_group,
            batch_sizes=(self.batch_size,),
            outside=self.outside,
        )

    @property
    def latent(self) -> int:
        """Numbers that an image is drawn from: one for each pixel of its noise."""
        return self.noise_channels * self.image_size**2

    def steps(self, images: int) -> int:
        """Rounds of the loop until the critic has seen at least `images` real images."""
        return -(-images // (self.batch_size * self.critic_steps))

    def networks(self) -> tuple[UNet, Discriminator]:
        """Generator and critic, not yet initialised."""
        return self.generator(), Discriminator(self.critic.channels, self.stddev_group)

    def generator(self) -> UNet:
        """The generator alone."""
        return UNet(self.width, self.levels, self.noise_channels, self.normalisation)

    def condition(self, boxes: Tensor) -> Tensor:
        """The condition of boxes drawn in 0 to 1, ``[N, 1, S, S]``: in a box 1, else `outside`."""
        return self.critic.condition(boxes)


class UNet(nn.Module):
    """Latent ``[N, C S S]`` and condition ``[N, 1, S, S]`` to image ``[N, 1, S, S]``, unbounded.

    The latent is laid out as C images of noise. Every halving of the image is handed to the
    doubling of the same size beside what comes from below (Ronneberger et al. 2015; with strided
    4 x 4 convolutions, as in pix2pix, Isola et al. 2017).

    Args:
        width, levels, noise_channels, normalisation: see `Pix2PixConfig`.
    """

    def __init__(self, width: int, levels: int, noise_channels: int, normalisation: Normalisation):
        super().__init__()
        self.noise_channels = noise_channels
        widths = [width * min(2**level, 8) for level in range(levels)]
        normalised = partial(_normalised, normalisation)
        self.down = nn.ModuleList([nn.Conv2d(1 + noise_channels, width, 4, 2, 1)])
        self.down.extend(
            normalised(nn.Conv2d(inside, outside, 4, 2, 1, bias=False))
            for inside, outside in pairwise(widths)
        )
        self.up = nn.ModuleList()
        entering = widths[-1]
        for outside in reversed(widths[:-1]):
            layer = nn.ConvTranspose2d(entering, outside, 4, 2, 1, bias=False)
            self.up.append(normalised(layer))
            entering = 2 * outside  # beside the halving of this size
        self.to_image = nn.ConvTranspose2d(entering, 1, 4, 2, 1)

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        noise = latent.reshape(len(condition), self.noise_channels, *condition.shape[2:])
        x = torch.cat([condition, noise], 1)
        halved = []
        for layer in self.down:
            x = F.leaky_relu(layer(x), 0.2)
            halved.append(x)
        halved.pop()  # the deepest has nothing below it
        for layer in self.up:
            x = torch.cat([F.leaky_relu(layer(x), 0.2), halved.pop()], 1)
        return self.to_image(x).float()


def _normalised(kind: Normalisation, layer: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    channels = layer.out_channels
    if kind == "batch":
        return nn.Sequential(layer, BatchNorm2d(channels))
    return nn.Sequential(layer, nn.InstanceNorm2d(channels, affine=True))


def program(
    config: Pix2PixConfig,
    images: DeviceImages,
    boxes: DeviceImages,
    seed: int,
    device: torch.device | str = "cpu",
    distribution: Distribution | None = None,
) -> Program:
    """Phases D and G, ready for `pathogan_core.training.loop.train`.

    Args:
        images, boxes: as of `cpggan.program`.

    Raises:
        PathoganError: as `cpggan.program`.
    """
    pggan.check_groups(config.critic, distribution or Distribution())
    cpggan.check_pairs(config.critic, images, boxes)
    generator, discriminator = config.networks()
    dcgan.initialise(generator, seed)
    pggan_networks.initialise(discriminator, seed)
    for module in (generator, discriminator):
        module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    d_loss, g_loss = losses(config, images, boxes, generator, discriminator)
    phases = [
        Phase(
            "D", "discriminator", _adam(config, discriminator), d_loss,
            times=lambda step: config.critic_steps, images=config.batch_size,
        ),
        Phase("G", "generator", _adam(config, generator), g_loss),
    ]  # fmt: skip
    averages = {}
    if config.ema_half_life_images:
        averages["generator"] = MovingAverage(generator, config.ema_half_life_images)
    modules = {"generator": generator, "discriminator": discriminator}
    return Program(modules, phases, averages, bf16=config.bf16)


def _adam(config: Pix2PixConfig, module: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(
        module.parameters(), config.learning_rate, betas=(config.beta1, config.beta2)
    )


def losses(
    config: Pix2PixConfig,
    images: DeviceImages,
    boxes: DeviceImages,
    generator: nn.Module,
    discriminator: nn.Module,
) -> tuple[Callable[[Turn], Loss], Callable[[Turn], Loss]]:
    """The loss of phase D and that of phase G."""
    batch = config.batch_size

    def draw(turn: Turn) -> tuple[Tensor, Tensor]:
        """Real images and their condition."""
        rows = turn.indices(batch, len(images))
        return images[rows], config.condition((boxes[rows] + 1) / 2)

    def d_loss(turn: Turn) -> Loss:
        real, condition = draw(turn)
        with torch.no_grad():
            fake = generator(turn.randn(batch, config.latent), condition)

        def critic(shown: Tensor, boxes: Tensor = condition) -> Tensor:
            return discriminator(shown, boxes)

        told = pggan.critic_loss(
            critic, real, fake, turn.rand(batch), config.penalty_weight, config.drift
        )
        weight = config.mismatch_weight
        return with_condition_gap(told, critic, real, condition, weight, "boxes_gap")

    def g_loss(turn: Turn) -> Loss:
        real, condition = draw(turn)
        fake = generator(turn.randn(batch, config.latent), condition)
        loss, scalars = objectives.narrowing_loss(discriminator(fake, condition))
        if not config.l1_weight:
            return loss, scalars
        difference = objectives.absolute_difference(fake, real)
        return loss + config.l1_weight * difference, {**scalars, "difference": difference}

    return d_loss, g_loss
