"""MUNIT, a refiner of synthetic images (Huang et al. 2018; thesis section 4.2.3).

An image is split into content, which both domains share, and style, which its own domain has. A
synthetic image's content with a style drawn for the real domain is a refined image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pathogan_core.errors import PathoganError
from pathogan_core.gans.domains import Domains, check_least, check_size
from pathogan_core.gans.munit_networks import (
    MultiscaleDiscriminator,
    Translator,
    Translators,
    initialise,
)
from pathogan_core.gans.objectives import (
    absolute_difference,
    least_squares_fooling_loss,
    least_squares_loss,
)
from pathogan_core.training.batches import DeviceImages
from pathogan_core.training.distribution import Distribution
from pathogan_core.training.phases import Loss, Phase, Program, Turn
from pathogan_core.training.randomness import derive_seed

REVISION = 1  # raise when a change here alters the result of an unchanged configuration

SYNTHETIC, REAL = "synthetic", "real"


@dataclass(frozen=True)
class MUNITConfig:
    """Everything that decides a result. Defaults are the thesis' or, where it is silent, named.

    "Reference code" is NVlabs/MUNIT, whose documented settings are used and whose code is not.

    Args:
        image_size: 224 in the thesis; any multiple of 4 from 16 on.
        width: channels of the translators' first layers. Thesis silent; 64 (paper).
        blocks: residual blocks in the content encoder and again in the decoder. Thesis silent; 4
            (paper).
        style: size of the style. Thesis silent; 8 (paper).
        hidden: of the perceptron between style and decoder. Thesis silent; 256 (reference code).
        discriminator_width, discriminator_layers, scales: first channels, halvings and scales of
            a discriminator. Thesis silent; 64, 4, 3 (paper).
        batch_size: 1 (thesis).
        learning_rate: Adam's; 1e-4 (thesis).
        halve_every: steps after which the rate halves; 20,000 (thesis; reference code: 100,000).
        beta1, beta2, weight_decay: Adam's. Thesis silent; 0.5, 0.999 and 1e-4 (reference code).
        image_weight, content_weight, style_weight: of the reconstructions, against 1 for the game.
            Thesis silent; 10, 1, 1 (paper).
        cycle_weight: of the style-augmented cycle, an image there and back in its own style; 0
            leaves it out. Thesis silent; 0 (reference code at such sizes).
        mirror: horizontal flips (thesis).
        bf16: autocast; weights, style normalisation, answers, images and losses stay fp32.
    """

    image_size: int = 224
    width: int = 64
    blocks: int = 4
    style: int = 8
    hidden: int = 256
    discriminator_width: int = 64
    discriminator_layers: int = 4
    scales: int = 3
    batch_size: int = 1
    learning_rate: float = 1.0e-4
    halve_every: int = 20_000
    beta1: float = 0.5
    beta2: float = 0.999
    weight_decay: float = 1.0e-4
    image_weight: float = 10.0
    content_weight: float = 1.0
    style_weight: float = 1.0
    cycle_weight: float = 0.0
    mirror: bool = True
    bf16: bool = False

    def __post_init__(self) -> None:
        check_size(self.image_size, least=16)
        check_least(
            self, width=1, blocks=1, style=1, hidden=1, discriminator_width=1,
            discriminator_layers=1, scales=1, batch_size=1, halve_every=1,
            image_weight=0, content_weight=0, style_weight=0, cycle_weight=0,
        )  # fmt: skip
        least = 2 ** (self.discriminator_layers + self.scales - 1)
        if self.image_size < least:
            raise PathoganError(
                f"{self.image_size} px cannot be halved so often by a discriminator",
                where="image_size",
                remedy=f"use {least} or more, fewer scales or fewer discriminator_layers",
            )

    def rate(self, step: int) -> float:
        """Adam's learning rate in step `step`, from 0."""
        return self.learning_rate * 0.5 ** (step // self.halve_every)


def program(
    config: MUNITConfig,
    synthetic: DeviceImages,
    real: DeviceImages,
    seed: int,
    device: torch.device | str = "cpu",
    distribution: Distribution | None = None,
) -> Program:
    """MUNIT as phases D and G, ready for `pathogan_core.training.loop.train`.

    Each phase consumes a batch of real images (and one of synthetic ones) of its own.

    Args:
        synthetic, real: one class, ``[N, 1, image_size, image_size]``, unpaired.

    Raises:
        PathoganError: a set has fewer images than a batch or another shape, or the ranks cannot
            share a batch.
    """
    (distribution or Distribution()).check_batch(config.batch_size)
    domains = Domains(synthetic, real, config.image_size, config.batch_size, config.mirror)
    translators, discriminators = networks(config)
    modules: dict[str, nn.Module] = {"translators": translators, "discriminators": discriminators}
    for name, module in modules.items():
        initialise(module, name, seed)
        module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    d_loss, g_loss = losses(config, domains, translators, discriminators)
    phases = [
        Phase(
            name, trains, _adam(config, modules[trains]), loss,
            images=config.batch_size, learning_rate=config.rate,
        )
        for name, trains, loss in (("D", "discriminators", d_loss), ("G", "translators", g_loss))
    ]  # fmt: skip
    return Program(modules, phases, bf16=config.bf16)


def networks(config: MUNITConfig) -> tuple[Translators, nn.ModuleDict]:
    """A translator and a discriminator for each of the domains ``synthetic`` and ``real``."""

    def translator() -> Translator:
        return Translator(config.width, config.blocks, config.style, config.hidden)

    def discriminator() -> MultiscaleDiscriminator:
        return MultiscaleDiscriminator(
            config.discriminator_width, config.discriminator_layers, config.scales
        )

    translators = Translators({SYNTHETIC: translator(), REAL: translator()})
    return translators, nn.ModuleDict({SYNTHETIC: discriminator(), REAL: discriminator()})


def _adam(config: MUNITConfig, module: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(
        module.parameters(),
        config.learning_rate,
        betas=(config.beta1, config.beta2),
        weight_decay=config.weight_decay,
    )


def losses(
    config: MUNITConfig,
    domains: Domains,
    translators: Translators,
    discriminators: nn.ModuleDict,
) -> tuple[Callable[[Turn], Loss], Callable[[Turn], Loss]]:
    """The loss of phase D and that of phase G (section 3.2 of the paper), sums over both domains.

    Reconstructions are mean absolute differences; the game is least squares, summed over scales.
    """

    def draw(turn: Turn) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        images = {SYNTHETIC: domains.draw_synthetic(turn), REAL: domains.draw_real(turn)}
        styles = {name: turn.randn(config.batch_size, config.style) for name in images}
        return images, styles

    def d_loss(turn: Turn) -> Loss:
        images, styles = draw(turn)
        scalars = {}
        for name, other in ((SYNTHETIC, REAL), (REAL, SYNTHETIC)):
            with torch.no_grad():
                content = translators[other].content_encoder(images[other])
                fake = translators[name].decode(content, styles[name])
            scalars[name] = judging_loss(discriminators[name], images[name], fake)
        return scalars[SYNTHETIC] + scalars[REAL], scalars

    def g_loss(turn: Turn) -> Loss:
        images, styles = draw(turn)
        cycle = config.cycle_weight > 0
        there, back = (
            translation_terms(
                translators[home], translators[abroad], discriminators[abroad],
                images[home], styles[abroad], cycle,
            )
            for home, abroad in ((SYNTHETIC, REAL), (REAL, SYNTHETIC))
        )  # fmt: skip
        scalars = {name: there[name] + back[name] for name in there}
        weights = {
            "game": 1.0,
            "image": config.image_weight,
            "content": config.content_weight,
            "style": config.style_weight,
            "cycle": config.cycle_weight,
        }
        return torch.stack([weights[name] * scalars[name] for name in scalars]).sum(), scalars

    return d_loss, g_loss


def judging_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Least squares, summed over scales; see `objectives.least_squares_loss`."""
    pairs = zip(discriminator(real), discriminator(fake), strict=True)
    return torch.stack([least_squares_loss(*pair)[0] for pair in pairs]).sum()


def translation_terms(
    home: Translator,
    abroad: Translator,
    discriminator: nn.Module,
    images: Tensor,
    style: Tensor,
    cycle: bool,
) -> dict[str, Tensor]:
    """What images of one domain, translated to the other in a given style, cost; unweighted.

    ``game``: of the discriminator's answers. ``image``: of an image and its reconstruction from its
    own codes. ``content``, ``style``: of the codes that the translated image was made of and those
    found in it. ``cycle``, if asked for: of an image and its way there and back in its own style.
    """
    content, own_style = home.encode(images)
    translated = abroad.decode(content, style)
    found_content, found_style = abroad.encode(translated)
    answers = discriminator(translated)
    terms = {
        "game": torch.stack([least_squares_fooling_loss(answer)[0] for answer in answers]).sum(),
        "image": absolute_difference(home.decode(content, own_style), images),
        "content": absolute_difference(found_content, content),
        "style": absolute_difference(found_style, style),
    }
    if cycle:
        terms["cycle"] = absolute_difference(home.decode(found_content, own_style), images)
    return terms


@torch.no_grad()
def refine(
    translators: Translators, images: Tensor, seed: int, batch: int = 16, first: int = 0
) -> Tensor:
    """Synthetic images in styles of the real domain, drawn from N(0, I).

    Image i's style is a function of `seed` and i only.

    Args:
        translators: ``program(...).modules["translators"]``.
        images: float ``[N, 1, S, S]`` in [-1, 1].
        first: i of the first of them, where they are a part of many.

    Returns:
        Float ``[N, 1, S, S]`` in [-1, 1] on the CPU.

    Raises:
        PathoganError: S is not a multiple of 4 from 16 on.
    """
    check_size(images.shape[-1], least=16)
    source, target = translators[SYNTHETIC], translators[REAL]
    parameter = next(target.parameters())
    size = target.style_encoder.code.out_features
    styles = draw_styles(first + len(images), size, seed)[first:]
    refined = [
        target.decode(
            source.content_encoder(some.to(parameter.device)), style.to(parameter.device)
        ).cpu()
        for some, style in zip(images.split(batch), styles.split(batch), strict=True)
    ]
    return torch.cat(refined)


def draw_styles(count: int, style: int, seed: int) -> Tensor:
    """Standard normal ``[count, style]``; the first rows are the same whatever the count."""
    stream = np.random.default_rng(derive_seed(seed, "style"))
    return torch.from_numpy(stream.standard_normal((count, style), np.float32))
