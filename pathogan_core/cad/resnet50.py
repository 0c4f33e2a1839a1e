"""ResNet-50 that tells tumour slices from non-tumour slices (thesis section 4.2.4).

The trunk is torchvision's (He et al. 2016, with the stride in the 3x3 convolution). The thesis puts
three layers before the sigmoid: dropout of 0.5, a dense layer, batch normalisation. It is trained
by plain stochastic gradient descent on the binary cross-entropy, from scratch or from ImageNet
weights, with a learning rate that falls by epochs and stops early.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import get_model

from pathogan_core.cad.image_sets import TUMOUR, ImageSet, Mixture
from pathogan_core.cad.imagenet import load_imagenet_weights, published_weights
from pathogan_core.errors import PathoganError
from pathogan_core.training.augmentation import ClassicAugmentation
from pathogan_core.training.batches import DeviceImages
from pathogan_core.training.phases import Loss, Phase, Program, Turn
from pathogan_core.training.randomness import generator_for
from pathogan_core.training.selection import Selection

REVISION = 1  # raise when a change here alters the result of an unchanged configuration

SCRATCH = "scratch"
DEPTHS = (18, 50)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
SMALLEST_SIDE = 32
"""Pixels: the trunk halves an image five times."""


@dataclass(frozen=True)
class ResNetConfig:
    """Everything that decides a result. Defaults are the thesis', from scratch; see `of_thesis`.

    Args:
        initial: ``scratch``, or torchvision's name of ImageNet weights. The thesis does not say
            which ImageNet weights; ``IMAGENET1K_V1`` are the ones of its time.
        depth: 50 (thesis). 18 is ours, for study scale: torchvision's ResNet-18.
        batch_size: 96 (thesis).
        learning_rate: 1e-2 (thesis).
        decay, decay_epochs: the rate is multiplied by `decay` every `decay_epochs`: 0.1 every 20
            from scratch, 0.5 every 5 from ImageNet weights (thesis).
        patience_epochs: epochs without a lower validation loss after which training stops: 20
            (thesis, which does not say what is watched). 0 never stops: for arms that are to be
            trained for equally many steps.
        epoch_steps: steps that count as an epoch for decay, validation and patience. 0 (thesis):
            one pass over the arm's own images, which gives an arm with 200,000 images more about
            25 times the steps. Give all arms of a comparison the same number.
        tested: ``best``: the weights of the lowest validation loss; ``last``: the final ones.
            Thesis silent.
        dropout: share of features dropped: 0.5 (thesis).
        momentum: thesis silent; 0, as in the paper it cites for SGD (Bottou 2010).
        augmentation: what happens to images of sets that are augmented.
        bf16: autocast; head, loss and statistics stay fp32.

    Raises:
        PathoganError: an unknown name or an impossible number.
    """

    initial: str = SCRATCH
    depth: int = 50
    batch_size: int = 96
    learning_rate: float = 1.0e-2
    decay: float = 0.1
    decay_epochs: int = 20
    patience_epochs: int = 20
    epoch_steps: int = 0
    tested: Literal["best", "last"] = "best"
    dropout: float = 0.5
    momentum: float = 0.0
    augmentation: ClassicAugmentation = field(default_factory=ClassicAugmentation)
    bf16: bool = False

    def __post_init__(self) -> None:
        if self.depth not in DEPTHS:
            raise PathoganError(f"is {self.depth}", where="depth", remedy="choose 18 or 50")
        if self.initial != SCRATCH:
            published_weights(self.model, self.initial)
        if self.tested not in ("best", "last"):
            raise PathoganError(f"is {self.tested!r}", where="tested", remedy="choose best or last")
        lowest = {"batch_size": 2, "decay_epochs": 1, "patience_epochs": 0, "epoch_steps": 0}
        for name, least in lowest.items():
            if (value := getattr(self, name)) < least:
                raise PathoganError(f"is {value}", where=name, remedy=f"give {least} or more")
        if not 0 <= self.dropout < 1:
            raise PathoganError(
                f"is {self.dropout}", where="dropout", remedy="give 0 or more, below 1"
            )

    @classmethod
    def of_thesis(cls, initial: str, **changes: Any) -> ResNetConfig:
        """The thesis' settings from scratch or from ImageNet weights, with the schedule of each."""
        scheduled = {} if initial == SCRATCH else {"decay": 0.5, "decay_epochs": 5}
        return cls(**{"initial": initial, **scheduled, **changes})

    @property
    def model(self) -> str:
        """torchvision's name of the trunk."""
        return f"resnet{self.depth}"

    def steps_per_epoch(self, images: int) -> int:
        """Steps that count as an epoch where an arm has `images` images."""
        return self.epoch_steps or math.ceil(images / self.batch_size)

    def learning_rate_at(self, step: int, steps_per_epoch: int) -> float:
        """The learning rate of a step, counted from 0."""
        epoch = step // steps_per_epoch
        return self.learning_rate * self.decay ** (epoch // self.decay_epochs)


class TumourClassifier(nn.Module):
    """Slices ``[N, 1, S, S]`` in [-1, 1] to logits ``[N]``: 0 or more is called tumour.

    The one channel is repeated to the trunk's three, and standardised as ImageNet's were, both from
    scratch and from ImageNet weights, so that the two differ in nothing but initial weights and
    schedule. (One channel with the first layer's kernels added up would give the same features but
    at the image's edge; the one kernel would then move less in a step than the three together.)
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, depth: int = 50, dropout: float = 0.5):
        super().__init__()
        self.trunk = get_model(f"resnet{depth}", weights=None)
        self.features = int(self.trunk.fc.in_features)
        self.trunk.fc = nn.Identity()
        self.dropout = dropout
        self.dense = nn.Linear(self.features, 1, bias=False)  # the norm would cancel a bias
        self.norm = nn.BatchNorm1d(1)
        for name, values in (("mean", IMAGENET_MEAN), ("deviation", IMAGENET_DEVIATION)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    def standardised(self, images: Tensor) -> Tensor:
        """What the trunk takes, ``[N, 3, S, S]``, of images ``[N, 1, S, S]``."""
        rgb = ((images + 1) / 2 - self.mean) / self.deviation
        return rgb.contiguous(memory_format=torch.channels_last)

    def forward(self, images: Tensor, uniform: Tensor | None = None) -> Tensor:
        """Logits ``[N]`` in fp32.

        Args:
            images: float ``[N, 1, S, S]``, S from 32.
            uniform: ``[N, features]`` on [0, 1): the dropout's randomness. Without it nothing is
                dropped. `nn.Dropout` would draw from a global generator that no checkpoint holds.
        """
        features = self.trunk(self.standardised(images))
        with torch.autocast(images.device.type, enabled=False):
            features = features.float()
            if uniform is not None:
                features = features * (uniform >= self.dropout) / (1 - self.dropout)
            return self.norm(self.dense(features)).squeeze(1)


def initialise(network: TumourClassifier, seed: int) -> None:
    """Convolutions by He et al. 2015 (fan-out), the dense layer uniform within 1/sqrt(fan-in)."""
    for name, module in network.named_modules():
        generator = generator_for(seed, "initialise", name)
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(
                module.weight, mode="fan_out", nonlinearity="relu", generator=generator
            )
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)


def program(
    config: ResNetConfig,
    training: Mixture,
    validation: ImageSet,
    seed: int,
    device: torch.device | str = "cpu",
    imagenet_weights: Path | None = None,
) -> Program:
    """One phase T with a validation after each epoch, for `pathogan_core.training.loop.train`.

    Args:
        training: the arm's images.
        validation: decides when to stop and which weights are `tested`.
        imagenet_weights: torchvision's file, where `config.initial` names ImageNet weights.

    Raises:
        MissingImageNetWeights: these are asked for and not there.
        PathoganError: the file is another one, or images are too small or of unequal size.
    """
    _check_sizes(training.side, validation.images.shape[1])
    network = TumourClassifier(config.depth, config.dropout)
    initialise(network, seed)
    if config.initial != SCRATCH:
        load_imagenet_weights(network.trunk, imagenet_weights, config.model, config.initial)
    network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    epoch = config.steps_per_epoch(len(training))
    phase = Phase(
        "T", "classifier",
        torch.optim.SGD(network.parameters(), config.learning_rate, config.momentum),
        classification_loss(config, training, network), images=config.batch_size,
        learning_rate=lambda step: config.learning_rate_at(step, epoch),
    )  # fmt: skip
    held_out = DeviceImages(validation.images, device)
    labels = torch.from_numpy(validation.labels.astype(np.float32)).to(device)
    selection = Selection(
        "classifier", network, every=epoch, patience=config.patience_epochs,
        measure=lambda module: _scalars(_logits(module, held_out), labels),
    )  # fmt: skip
    return Program({"classifier": network}, [phase], bf16=config.bf16, selection=selection)


def classification_loss(
    config: ResNetConfig, training: Mixture, network: TumourClassifier
) -> Callable[[Turn], Loss]:
    """Binary cross-entropy of a batch, with fresh dropout."""

    def loss(turn: Turn) -> Loss:
        if turn.distribution.world > 1:
            raise PathoganError(
                "trains in one process: others would normalise over parts of the batch",
                where="classifier",
                remedy="start arms and seeds side by side instead",
            )
        images, labels = training.draw(turn, config.batch_size, config.augmentation)
        logits = network(images, turn.rand(config.batch_size, network.features))
        scalars = _scalars(logits, labels)
        return scalars["loss"], {"accuracy": scalars["accuracy"]}

    return loss


def tested(config: ResNetConfig, trained: Program) -> nn.Module:
    """The network whose answers count: that of the lowest validation loss, or the last one."""
    best = config.tested == "best"
    return trained.best("classifier") if best else trained.modules["classifier"]


def predict(network: nn.Module, images: np.ndarray, batch: int = 128) -> np.ndarray:
    """Probability of tumour, float64 ``[N]``, of each of uint8 images ``[N, S, S]``.

    In evaluation mode and fp32: an image's probability depends on that image only.
    """
    device = next(network.parameters()).device
    was_training = network.training
    with torch.no_grad():
        logits = _logits(network.eval(), DeviceImages(images, device), batch)
    network.train(was_training)
    return logits.double().sigmoid().cpu().numpy()


def features(network: TumourClassifier, images: np.ndarray, batch: int = 128) -> np.ndarray:
    """What the last layer sees of uint8 images ``[N, S, S]``: float32 ``[N, features]``.

    In evaluation mode and fp32, as `predict`.
    """
    trunk, was_training = network.trunk, network.training
    network.eval()
    device = next(network.parameters()).device
    held = DeviceImages(images, device)
    rows = torch.arange(len(images), device=device)
    with torch.no_grad():
        found = torch.cat([trunk(network.standardised(held[part])) for part in rows.split(batch)])
    network.train(was_training)
    return found.cpu().numpy()


def _logits(network: nn.Module, images: DeviceImages, batch: int = 128) -> Tensor:
    rows = torch.arange(len(images), device=next(network.parameters()).device)
    return torch.cat([network(images[part]) for part in rows.split(batch)])


def _scalars(logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Mean binary cross-entropy, and the share of images on the right side of a logit of 0."""
    return {
        "loss": F.binary_cross_entropy_with_logits(logits, labels),
        "accuracy": ((logits >= 0) == (labels == TUMOUR)).float().mean(),
    }


def _check_sizes(training: int, validation: int) -> None:
    if training != validation:
        raise PathoganError(
            f"has images of {validation} px, those to learn from have {training} px",
            where="validation",
            remedy="resize both to the classifier's input",
        )
    if training < SMALLEST_SIDE:
        raise PathoganError(
            f"has images of {training} px",
            where="arm",
            remedy=f"give {SMALLEST_SIDE} px or more; the thesis has 224",
        )
