"""Each method's configuration, as the notebook's parameters make it.

What a method refuses is said in the notebook's words, and when the parameters are read: not hours
later, when the method's turn has come.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pathogan_core.cad import resnet50
from pathogan_core.cad.resnet50 import ResNetConfig
from pathogan_core.cohorts.slice_classes import CLASSES
from pathogan_core.evaluation.discarding import DiscardingConfig
from pathogan_core.evaluation.embedding import TSNEConfig
from pathogan_core.experiments.configuring import made
from pathogan_core.gans.munit import MUNITConfig
from pathogan_core.gans.pggan import PGGANConfig
from pathogan_core.gans.simgan import SimGANConfig
from pathogan_core.places import project_root

if TYPE_CHECKING:  # which builds all of these when it is made
    from pathogan_core.experiments.chapter4.parameters import Parameters

INITIAL = {"scratch": resnet50.SCRATCH, "pretrained": "IMAGENET1K_V1"}

# Fields of a configuration, and the parameter that each is.
_PGGAN = {
    "image_size": "gan_size",
    "width": "pggan_width",
    "latent": "pggan_latent",
    "batch_sizes": "pggan_batches",
    "crop_pixels": "crop_pixels",
    "bf16": "bf16",
}
_MUNIT = {
    "image_size": "classifier_size",
    "width": "munit_width",
    "discriminator_width": "munit_discriminator_width",
    "discriminator_layers": "munit_layers",
    "scales": "munit_scales",
    "batch_size": "munit_batch",
    "learning_rate": "munit_rate",
    "halve_every": "munit_halve_every",
    "bf16": "bf16",
}
_SIMGAN = {
    "image_size": "classifier_size",
    "width": "simgan_width",
    "batch_size": "simgan_batch",
    "learning_rate": "simgan_rate",
    "halve_at": "simgan_halve_at",
    "refiner_warmup": "simgan_refiner_warmup",
    "discriminator_warmup": "simgan_discriminator_warmup",
    "history": "simgan_history",
    "bf16": "bf16",
}
_CLASSIFIER = {
    "depth": "depth",
    "batch_size": "classifier_batch",
    "learning_rate": "classifier_rate",
    "patience_epochs": "patience",
    "epoch_steps": "epoch_steps",
    "bf16": "bf16",
}
_DISCARDING = {
    "components": "components",
    "clusters": "clusters",
    "quantile": "odd_quantile",
    "seed": "seed",
}
_TSNE = {"perplexity": "perplexity", "seed": "seed"}


def pggan(p: Parameters) -> PGGANConfig:
    """Of both classes but for the length of its phases, which may depend on a class's images."""
    return made(PGGANConfig, p, _PGGAN)


def munit(p: Parameters) -> MUNITConfig:
    """Of both classes."""
    return made(MUNITConfig, p, _MUNIT)


def simgan(p: Parameters) -> SimGANConfig:
    """Of both classes."""
    return made(SimGANConfig, p, _SIMGAN)


def classifier(p: Parameters, training: str) -> ResNetConfig:
    """The same for all arms of a training, ``scratch`` or ``pretrained``."""
    return made(partial(ResNetConfig.of_thesis, INITIAL[training]), p, _CLASSIFIER)


def imagenet_weights(p: Parameters) -> Path | None:
    """The file that pre-trained classifiers begin with, if one is named; it need not exist."""
    return project_root() / p.imagenet_weights if p.imagenet_weights else None


def discarding(p: Parameters, name: str) -> DiscardingConfig:
    """Of a class, ``tumour`` or ``non_tumour``."""
    return made(DiscardingConfig, p, {**_DISCARDING, "odd": f"odd_{name}"})


def tsne(p: Parameters) -> TSNEConfig:
    """Of every map."""
    return made(TSNEConfig, p, _TSNE)


def check(p: Parameters) -> None:
    """Make all of them.

    Raises:
        PathoganError: one of them cannot be; names the parameter.
    """
    for make in (pggan, munit, simgan, tsne):
        make(p)
    for training in p.trainings:
        classifier(p, training)
    for name in CLASSES:
        discarding(p, name)
