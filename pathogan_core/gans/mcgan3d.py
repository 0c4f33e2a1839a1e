"""3D MCGAN, which draws lung nodules of a desired size and attenuation into real surroundings.

Thesis section 6.2.1. A generator fills the centre of a volume of interest (VOI); the *context*
discriminator judges the whole VOI by least squares, the *nodule* discriminator the centre with its
conditions as WGAN-GP does. A generated nodule is asked for with the labels of the real one in whose
place it stands, so that penalised points between the two have one condition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from pathogan_core.errors import PathoganError
from pathogan_core.gans import objectives, sampling
from pathogan_core.gans.domains import check_least
from pathogan_core.gans.mcgan3d_networks import (
    ContextDiscriminator,
    Generator,
    NoduleDiscriminator,
    centre,
    draws,
    initialise,
    pasted,
)
from pathogan_core.gans.mismatch import with_condition_gap
from pathogan_core.gans.penalties import gradient_penalty
from pathogan_core.training.distribution import Distribution
from pathogan_core.training.ema import MovingAverage
from pathogan_core.training.phases import Loss, Phase, Program, Turn
from pathogan_core.training.volumes import DeviceVolumes

REVISION = 1  # raise when a change here alters the result of an unchanged configuration

DISCRIMINATORS = ("context", "nodule")
Region = Literal["centre", "voi"]
FlipUnit = Literal["step", "sample"]


@dataclass(frozen=True)
class MCGANConfig:
    """Everything that decides a result. Defaults are the thesis' or, where it is silent, named.

    Args:
        voi_size: 64 (thesis); a power of two. The nodule's box is half as wide.
        width: channels of the generator's first convolution. Thesis silent; 64 (pix2pix).
        levels: convolutions and deconvolutions; 4 each (thesis).
        context_width, nodule_width: of the discriminators. Thesis silent; 64 (pix2pix).
        discriminators: which of `DISCRIMINATORS` judge; both (thesis).
        constant_box: the box holds 0 instead of noise from [-0.5, 0.5): the thesis says that noise
            "improves the training robustness".
        paired: the context discriminator sees the VOI with the noisy one it was made from
            ("nodule/surrounding pairs with noise box-centered surroundings"), or alone.
        low_hu, high_hu: window whose ends are -1 and 1. Thesis silent; -1000 to 400 is ours.
        dropout: "to inject randomness"; its share is not said. 0.5 (pix2pix).
        dropped: deconvolutions after which features are dropped. Thesis silent; 2 of 4 (ours).
        drop_when_drawing: also when nodules are drawn. Thesis silent; as pix2pix does.
        batch_size: 16 (thesis).
        learning_rate: 2e-4 (thesis).
        beta1, beta2: Adam's moments. Thesis silent; 0.5 and 0.999 (pix2pix).
        penalty_weight: thesis silent; 10 (Gulrajani et al. 2017).
        critic_steps: updates of both discriminators per generator update. Thesis silent; 1.
        context_weight, nodule_weight: of their verdicts in the generator's loss; 1 (equation 1).
        l1_weight: 100 in equation 2, 0 in equation 1.
        l1_over: the difference is averaged over the ``centre`` or the whole ``voi``, which divides
            it by 8: outside there is none. Thesis silent.
        label_flips: share of flips of real and synthetic: a third ("once in three times").
        flip_unit: whole rounds are flipped (a ``step``), or single VOIs. Thesis silent.
        flipped: for which discriminators. Thesis silent. In a WGAN-GP a flip reverses the sign of
            the critic's loss, which undoes what it has learnt; context only is ours.
        mirror: horizontal and vertical flips, of half the VOIs each (thesis).
        mismatch_weight: the nodule discriminator is also asked to value real nodules higher with
            their own labels than with others' (`mismatch`). 0 (thesis has no such term).
        ema_half_life_images: average the generator. 0: no average (thesis silent).
        bf16: autocast; weights, critic values, penalties and losses stay fp32.
    """

    voi_size: int = 64
    width: int = 64
    levels: int = 4
    context_width: int = 64
    nodule_width: int = 64
    discriminators: tuple[str, ...] = DISCRIMINATORS
    constant_box: bool = False
    paired: bool = True
    low_hu: float = -1000.0
    high_hu: float = 400.0
    dropout: float = 0.5
    dropped: int = 2
    drop_when_drawing: bool = True
    batch_size: int = 16
    learning_rate: float = 2.0e-4
    beta1: float = 0.5
    beta2: float = 0.999
    penalty_weight: float = 10.0
    critic_steps: int = 1
    context_weight: float = 1.0
    nodule_weight: float = 1.0
    l1_weight: float = 0.0
    l1_over: Region = "centre"
    label_flips: float = 1 / 3
    flip_unit: FlipUnit = "step"
    flipped: tuple[str, ...] = ("context",)
    mirror: bool = True
    mismatch_weight: float = 0.0
    ema_half_life_images: float = 0.0
    bf16: bool = False

    def __post_init__(self) -> None:
        for name in ("discriminators", "flipped"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # JSON knows lists only
        check_least(
            self, voi_size=32, width=1, levels=1, context_width=1, nodule_width=1, dropout=0,
            dropped=0, batch_size=1, penalty_weight=0, critic_steps=1, context_weight=0,
            nodule_weight=0, l1_weight=0, label_flips=0, mismatch_weight=0,
            ema_half_life_images=0,
        )  # fmt: skip
        named = ", ".join(DISCRIMINATORS)
        for name, wrong, remedy in (
            ("voi_size", self.voi_size & (self.voi_size - 1), "give a power of two; 64 (thesis)"),
            ("levels", self.voi_size >> self.levels < 2, "give fewer: 2 voxels are to be left"),
            ("dropout", self.dropout >= 1, "give a share below 1"),
            ("label_flips", self.label_flips > 1, "give a share of 0 to 1"),
            ("high_hu", self.high_hu <= self.low_hu, "give more than low_hu"),
            ("l1_over", self.l1_over not in get_args(Region), "choose centre or voi"),
            ("flip_unit", self.flip_unit not in get_args(FlipUnit), "choose step or sample"),
            ("flipped", not set(self.flipped) <= set(DISCRIMINATORS), f"name some of {named}"),
            (
                "discriminators",
                not self.discriminators or not set(self.discriminators) <= set(DISCRIMINATORS),
                f"name one or more of {named}",
            ),
        ):
            if wrong:
                raise PathoganError(f"is {getattr(self, name)!r}", where=name, remedy=remedy)

    @property
    def nodule_size(self) -> int:
        """Of the box that is generated."""
        return self.voi_size // 2

    @property
    def draws(self) -> int:
        """Uniform numbers that one nodule is drawn from: its noise and what is dropped."""
        return sum(draws(self.width, self.levels, self.voi_size, self.dropout, self.dropped))

    def steps(self, vois: int) -> int:
        """Rounds of the loop until the discriminators have seen at least `vois` real VOIs."""
        return -(-vois // (self.batch_size * self.critic_steps))

    def generator(self) -> Generator:
        """The generator, not yet initialised."""
        return Generator(
            self.width, self.levels, self.voi_size, self.constant_box, self.dropout, self.dropped,
            self.drop_when_drawing,
        )  # fmt: skip

    def judges(self) -> dict[str, nn.Module]:
        """The discriminators, by name, not yet initialised."""
        made = {
            "context": ContextDiscriminator(self.context_width, self.paired),
            "nodule": NoduleDiscriminator(self.nodule_width, self.nodule_size),
        }
        return {name: made[name] for name in DISCRIMINATORS if name in self.discriminators}


@dataclass(frozen=True, eq=False)
class LabelledVOIs:
    """What 3D MCGAN learns from.

    Args:
        volumes: real VOIs with a nodule at their centre.
        labels: int64 ``[N, 2]`` on the same device: numbers in `SIZES` and `ATTENUATIONS`.
    """

    volumes: DeviceVolumes
    labels: Tensor

    def draw(self, config: MCGANConfig, turn: Turn) -> tuple[Tensor, Tensor]:
        """A batch of VOIs ``[n, 1, V, V, V]``, mirrored at random, and their labels ``[n, 2]``."""
        rows = turn.indices(config.batch_size, len(self.volumes))
        vois = self.volumes[rows]
        if config.mirror:
            for axis, chosen in zip((-1, -2), turn.rand(config.batch_size, 2).T < 0.5, strict=True):
                vois = torch.where(chosen[:, None, None, None, None], vois.flip(axis), vois)
        return vois, self.labels[rows]


def program(
    config: MCGANConfig,
    training: LabelledVOIs,
    seed: int,
    device: torch.device | str = "cpu",
    distribution: Distribution | None = None,
) -> Program:
    """Phases C, N (the discriminators that judge) and G, for `pathogan_core.training.loop.train`.

    Raises:
        PathoganError: VOIs of another size, labels that do not fit them, or ranks that cannot
            share a batch.
    """
    (distribution or Distribution()).check_batch(config.batch_size)
    _check(config, training)
    generator, judges = config.generator(), config.judges()
    modules = {"generator": generator, **judges}
    for module in modules.values():
        initialise(module, seed)
        module.to(device).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    found = losses(config, training, generator, judges)
    counted = next(iter(judges))  # VOIs are counted once a round
    phases = [
        Phase(
            name[0].upper(), name, _adam(config, module), found[name],
            times=lambda step: config.critic_steps,
            images=config.batch_size if name == counted else 0,
        )
        for name, module in judges.items()
    ]  # fmt: skip
    phases.append(Phase("G", "generator", _adam(config, generator), found["generator"]))
    averages = {}
    if config.ema_half_life_images:
        averages["generator"] = MovingAverage(generator, config.ema_half_life_images)
    return Program(modules, phases, averages, bf16=config.bf16)


def _adam(config: MCGANConfig, module: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(
        module.parameters(), config.learning_rate, betas=(config.beta1, config.beta2)
    )


def _check(config: MCGANConfig, training: LabelledVOIs) -> None:
    size, labels = config.voi_size, training.labels
    if training.volumes.shape != (size,) * 3:
        shape = " x ".join(map(str, training.volumes.shape))
        problem = f"have shape {shape}, not {size} x {size} x {size}"
        raise PathoganError(problem, where="VOIs", remedy="prepare them at voi_size")
    if tuple(labels.shape) != (len(training.volumes), 2):
        problem = f"are {' x '.join(map(str, labels.shape))} for {len(training.volumes)} VOIs"
        raise PathoganError(problem, where="labels", remedy="give size and attenuation of each")
    if not ((labels >= 0) & (labels < 3)).all():
        raise PathoganError(
            f"reach from {int(labels.min())} to {int(labels.max())}",
            where="labels",
            remedy="number sizes and attenuations 0, 1, 2",
        )


def losses(
    config: MCGANConfig,
    training: LabelledVOIs,
    generator: Generator,
    judges: dict[str, nn.Module],
) -> dict[str, Callable[[Turn], Loss]]:
    """The loss of each phase, by the module that it trains."""
    batch = config.batch_size

    def drawn(turn: Turn) -> tuple[Tensor, Tensor, Tensor]:
        """Real VOIs, their labels, and the numbers that nodules are drawn from."""
        vois, labels = training.draw(config, turn)
        return vois, labels, turn.rand(batch, sum(generator.drawn))

    def context_loss(turn: Turn) -> Loss:
        vois, labels, uniform = drawn(turn)
        with torch.no_grad():
            fake = pasted(generator(uniform, vois, labels), vois)
            noisy = generator.noisy(uniform, vois)
        judge = judges["context"]
        real_answers, fake_answers = judge(vois, noisy), judge(fake, noisy)
        flips = _flips(config, "context", turn)
        loss, _ = objectives.least_squares_loss(*_exchanged(real_answers, fake_answers, flips))
        return loss, {"real": real_answers.mean(), "fake": fake_answers.mean()}

    def nodule_loss(turn: Turn) -> Loss:
        vois, labels, uniform = drawn(turn)
        with torch.no_grad():
            fake = generator(uniform, vois, labels)
        real, judge = centre(vois).contiguous(), judges["nodule"]

        def critic(nodules: Tensor, told: Tensor = labels) -> Tensor:
            return judge(nodules, told)

        real_values, fake_values = critic(real), critic(fake)
        flips = _flips(config, "nodule", turn)
        loss, _ = objectives.critic_loss(*_exchanged(real_values, fake_values, flips))
        penalty = gradient_penalty(critic, real, fake, turn.rand(batch)).mean()
        scalars = {"gap": (real_values - fake_values).mean(), "penalty": penalty}
        told = (loss + config.penalty_weight * penalty, scalars)
        weight = config.mismatch_weight
        return with_condition_gap(told, critic, real, labels, weight, "labels_gap")

    def generator_loss(turn: Turn) -> Loss:
        vois, labels, uniform = drawn(turn)
        nodules = generator(uniform, vois, labels)
        whole = pasted(nodules, vois)
        terms, scalars = [], {}
        if "context" in judges:
            answers = judges["context"](whole, generator.noisy(uniform, vois))
            context, _ = objectives.least_squares_fooling_loss(answers)
            terms.append(config.context_weight * context)
            scalars["context"] = context
        if "nodule" in judges:
            narrowing, _ = objectives.narrowing_loss(judges["nodule"](nodules, labels))
            terms.append(config.nodule_weight * narrowing)
            scalars["nodule"] = narrowing
        difference = _difference(config, nodules, whole, vois)
        scalars["difference"] = difference
        return torch.stack(terms).sum() + config.l1_weight * difference, scalars

    found: dict[str, Callable[[Turn], Loss]] = {"generator": generator_loss}
    every = {"context": context_loss, "nodule": nodule_loss}
    return found | {name: every[name] for name in judges}


def _difference(config: MCGANConfig, nodules: Tensor, whole: Tensor, vois: Tensor) -> Tensor:
    """To the real nodule in the same place; logged also where it has no weight."""
    if config.l1_over == "centre":
        return objectives.absolute_difference(nodules, centre(vois))
    return objectives.absolute_difference(whole, vois)


def _flips(config: MCGANConfig, judge: str, turn: Turn) -> Tensor | None:
    """Which VOIs of this rank's share are called the other way round, bool ``[n]``."""
    if not config.label_flips or judge not in config.flipped:
        return None
    drawn = turn.rand(config.batch_size)
    if config.flip_unit == "step":
        whole = torch.rand(1, generator=turn.generator, device=turn.generator.device)
        drawn = whole.expand_as(drawn)  # the same on every rank
    return drawn < config.label_flips


def _exchanged(real: Tensor, fake: Tensor, flips: Tensor | None) -> tuple[Tensor, Tensor]:
    """Answers about real and generated samples, in each other's place where labels are flipped."""
    if flips is None:
        return real, fake
    flipped = flips.view(-1, *[1] * (real.ndim - 1))
    return torch.where(flipped, fake, real), torch.where(flipped, real, fake)


def draw(
    generator: nn.Module, uniform: Tensor, vois: Tensor, labels: Tensor, batch: int = 8
) -> Tensor:
    """Nodules in [-1, 1], ``[N, 1, R, R, R]`` on the CPU; paste them with `pasted`.

    A nodule depends on its own row only: in evaluation batch normalisation has fixed statistics.

    Args:
        generator: best a program's ``best("generator")``.
        uniform: ``[N, draws]`` from [0, 1); the same row is the same noise and the same dropping.
        vois: windowed, ``[N, 1, V, V, V]``.
        labels: int64 ``[N, 2]``.
    """
    return sampling.draw(generator, uniform, batch, vois, labels)


def labels_of(sizes: Sequence[int], attenuations: Sequence[int]) -> Tensor:
    """Labels ``[N, 2]`` of numbers in `SIZES` and `ATTENUATIONS`."""
    return torch.tensor([*zip(sizes, attenuations, strict=True)], dtype=torch.int64).reshape(-1, 2)
