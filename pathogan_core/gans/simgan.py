"""SimGAN, a refiner of synthetic images (Shrivastava et al. 2017; thesis section 4.2.3).

A fully convolutional refiner changes a synthetic image until a discriminator, which judges patches,
takes it for real; a penalty on the change keeps what the image shows. The discriminator also
sees images that earlier states of the refiner made, so that old artefacts do not come back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from pathogan_core.errors import PathoganError
from pathogan_core.gans import sampling
from pathogan_core.gans.domains import Domains, check_least, check_size
from pathogan_core.gans.objectives import absolute_difference, fooling_loss, game_loss
from pathogan_core.gans.simgan_networks import Discriminator, Refiner, initialise
from pathogan_core.training.batches import DeviceImages
from pathogan_core.training.distribution import Distribution
from pathogan_core.training.phases import Loss, Phase, Program, Turn

REVISION = 1  # raise when a change here alters the result of an unchanged configuration


@dataclass(frozen=True)
class SimGANConfig:
    """Everything that decides a result. Defaults are the thesis' or, where it is silent, named.

    "Reference code" is carpedm20/simulated-unsupervised-tensorflow, made for 55x35 px.

    Args:
        image_size: 224 in the thesis; any multiple of 4.
        width: channels of the refiner. Thesis silent; 64 (paper). The discriminator's are 3/2, 1
            and 1/2 of it: 96, 64, 32 (paper).
        blocks: residual blocks of the refiner. Thesis silent; 4 (paper).
        batch_size: 10 (thesis).
        learning_rate: of SGD without momentum; 1e-4 (thesis). Thesis silent on whether losses are
            sums over patches, as the paper writes them. Here they are means, which mean the same at
            every size; to SGD sums are means at a rate as many times as high, 3,136 at 224 px.
        halve_at: adversarial round from which on the rate is half of it; 15,000 (thesis).
        identity_weight: weight of the mean absolute change against the mean loss of a patch. Thesis
            silent; 1 is our choice: discs of another grey level then come to look like the real
            ones. The reference code's 0.5 a pixel is 8, at 16 pixels to a patch; it held them back.
            The penalty's slope is the same at any change, so SGD swings about zero, the wider the
            larger learning_rate * identity_weight is.
        refiner_updates, discriminator_updates: in a round. Thesis silent; 2 and 1 (reference code).
        refiner_warmup: rounds before the game in which the refiner learns to change nothing.
            Thesis silent; 1,000 (reference code).
        discriminator_warmup: rounds after those in which the discriminator alone learns. Thesis
            silent; 200 (reference code).
        history: images that the buffer keeps, a multiple of half a batch. Thesis silent; 50 batches
            (reference code). A checkpoint holds them: 100 MB at 224 px.
        mirror: horizontal flips (thesis).
        bf16: autocast; weights, the change to an image, logits and losses stay fp32.
    """

    image_size: int = 224
    width: int = 64
    blocks: int = 4
    batch_size: int = 10
    learning_rate: float = 1.0e-4
    halve_at: int = 15_000
    identity_weight: float = 1.0
    refiner_updates: int = 2
    discriminator_updates: int = 1
    refiner_warmup: int = 1_000
    discriminator_warmup: int = 200
    history: int = 500
    mirror: bool = True
    bf16: bool = False

    def __post_init__(self) -> None:
        check_size(self.image_size, least=4)
        check_least(
            self, width=2, blocks=0, batch_size=2, halve_at=0, identity_weight=0,
            refiner_updates=1, discriminator_updates=1, refiner_warmup=0, discriminator_warmup=0,
        )  # fmt: skip
        for name in ("width", "batch_size"):
            if getattr(self, name) % 2:
                problem = f"{getattr(self, name)} cannot be halved"
                raise PathoganError(problem, where=name, remedy="give an even number")
        half = self.batch_size // 2
        if self.history < half or self.history % half:
            raise PathoganError(
                f"{self.history} is not a multiple of half a batch, {half}",
                where="history",
                remedy="the buffer is filled by halves of batches",
            )

    @property
    def warmup(self) -> int:
        """Rounds before the adversarial game."""
        return self.refiner_warmup + self.discriminator_warmup

    def rounds(self, steps: int) -> int:
        """Rounds of the loop in which `steps` rounds are adversarial. The thesis has 20,000.

        Thesis silent on whether its steps include the warm-up; here they do not.
        """
        return self.warmup + steps

    def refines(self, step: int) -> int:
        """Refiner updates in round `step` (from 0): warm-up, pause, game."""
        if step < self.warmup:
            return int(step < self.refiner_warmup)
        return self.refiner_updates

    def discriminates(self, step: int) -> int:
        """Discriminator updates in round `step`: pause, warm-up, game."""
        if step < self.warmup:
            return int(step >= self.refiner_warmup)
        return self.discriminator_updates

    def rate(self, step: int) -> float:
        """SGD's learning rate in round `step`: halved once, the warm-up not counted."""
        late = step - self.warmup >= self.halve_at
        return self.learning_rate * (0.5 if late else 1.0)


class History(nn.Module):
    """Images of earlier refiners (section 2.3 of the paper): buffers, so part of a checkpoint.

    Nothing here reads the device: how full it is, is a tensor too.
    """

    images: Tensor
    held: Tensor

    def __init__(self, capacity: int, size: int):
        super().__init__()
        self.register_buffer("images", torch.zeros(capacity, 1, size, size))
        self.register_buffer("held", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def exchange(self, refined: Tensor, turn: Turn) -> Tensor:
        """Replace the second half of a batch by earlier images; keep its first half for later.

        While there are none, the batch stays as it is. New images fill the buffer, then take the
        place of randomly chosen ones. The turn's whole batch is given, on every rank: all keep the
        same buffer.

        Args:
            refined: float ``[batch, 1, S, S]`` of the refiner as it is; `batch` is even.
            turn: draws which images come and go.
        """
        half, capacity = len(refined) // 2, len(self.images)
        fresh, rest = refined[:half], refined[half:]
        drawn = (turn.rand(half) * self.held).long()
        earlier = torch.where(self.held > 0, self.images[drawn], rest)
        places = turn.rand(capacity).argsort()[:half]
        unused = self.held + torch.arange(half, device=places.device)
        self.images[torch.where(self.held < capacity, unused, places)] = fresh
        self.held.add_(half).clamp_(max=capacity)
        return torch.cat([fresh, earlier])


def program(
    config: SimGANConfig,
    synthetic: DeviceImages,
    real: DeviceImages,
    seed: int,
    device: torch.device | str = "cpu",
    distribution: Distribution | None = None,
) -> Program:
    """SimGAN as phases R and D (the paper's order), for `pathogan_core.training.loop.train`.

    Args:
        synthetic, real: one class, ``[N, 1, image_size, image_size]``, unpaired.

    Raises:
        PathoganError: a set has fewer images than a batch or another shape, or the ranks cannot
            share a batch.
    """
    (distribution or Distribution()).check_batch(config.batch_size)
    domains = Domains(synthetic, real, config.image_size, config.batch_size, config.mirror)
    refiner, discriminator = Refiner(config.width, config.blocks), Discriminator(config.width)
    for module in (refiner, discriminator):
        initialise(module, seed)
        module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    history = History(config.history, config.image_size).to(device)
    r_loss, d_loss = losses(config, domains, refiner, discriminator, history)
    phases = [
        Phase(
            "R", "refiner", _sgd(config, refiner), r_loss,
            times=config.refines, learning_rate=config.rate,
        ),
        Phase(
            "D", "discriminator", _sgd(config, discriminator), d_loss,
            times=config.discriminates, images=config.batch_size, learning_rate=config.rate,
        ),
    ]  # fmt: skip
    modules = {"refiner": refiner, "discriminator": discriminator, "history": history}
    return Program(modules, phases, bf16=config.bf16)


def _sgd(config: SimGANConfig, module: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(module.parameters(), config.rate(0))


def losses(
    config: SimGANConfig,
    domains: Domains,
    refiner: nn.Module,
    discriminator: nn.Module,
    history: History,
) -> tuple[Callable[[Turn], Loss], Callable[[Turn], Loss]]:
    """The loss of phase R and that of phase D, means over patches and images.

    A logged change (``R/change``) that stays at zero is the failure to look for: the penalty won.
    """

    def r_loss(turn: Turn) -> Loss:
        synthetic = domains.draw_synthetic(turn)
        refined = refiner(synthetic)
        change = absolute_difference(refined, synthetic)
        scalars = {"change": change}
        if turn.step < config.refiner_warmup:
            return config.identity_weight * change, scalars
        realism, _ = fooling_loss(discriminator(refined))
        return realism + config.identity_weight * change, {**scalars, "realism": realism}

    def d_loss(turn: Turn) -> Loss:
        # Every rank refines the whole batch, so that all keep one buffer, and judges its share.
        alone = replace(turn, distribution=Distribution())
        with torch.no_grad():
            refined = history.exchange(refiner(domains.draw_synthetic(alone)), alone)
        fake = discriminator(turn.distribution.share(refined))
        return game_loss(discriminator(domains.draw_real(turn)), fake)

    return r_loss, d_loss


def refine(refiner: nn.Module, images: Tensor, batch: int = 64) -> Tensor:
    """Refined images, float ``[N, 1, S, S]`` in [-1, 1] on the CPU, for images of that shape.

    An image is refined without regard to the others.

    Raises:
        PathoganError: a side is not a multiple of 4.
    """
    check_size(images.shape[-1], least=4)
    return sampling.draw(refiner, images, batch).clamp(-1, 1)
