"""The methods whose training is timed: with which settings, at which sizes, for how many steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from pathogan_core.cad import resnet50, yolov3
from pathogan_core.cad.boxed_images import BoxedImages, BoxedMixture
from pathogan_core.cad.image_sets import ImageSet, Mixture
from pathogan_core.gans import cpggan, dcgan, munit, pggan, pix2pix, simgan
from pathogan_core.training.batches import DeviceImages
from pathogan_core.training.phases import Loss, Phase, Program, Turn

IMAGES = 1024
SEED = 0

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Method:
    """How a method is timed.

    Args:
        build: the program to be trained, of size in pixels, settings and device.
        settings: what differs from the defaults of the method's configuration.
        sizes: image sizes in pixels, each with what differs further.
        quick: what differs further for `--quick`.
        cpu_steps: warm-up and timed steps on a CPU.
    """

    build: Callable[[int, Settings, torch.device], Program]
    settings: Settings
    sizes: Mapping[int, Settings]
    quick: Settings
    cpu_steps: tuple[int, int] = (2, 3)

    def at(self, size: int, *, quick: bool) -> dict[str, Any]:
        """The settings at one of `sizes`."""
        return {**self.settings, **self.sizes[size], **(self.quick if quick else {})}


def random_images(size: int) -> np.ndarray:
    """uint8 ``[N, size, size]``: convolutions take as long on noise as on brains."""
    return np.random.default_rng(SEED).integers(0, 256, (IMAGES, size, size), np.uint8)


def _dcgan(size: int, settings: Settings, device: torch.device) -> Program:
    config = dcgan.DCGANConfig(image_size=size, **settings)
    return dcgan.program(config, DeviceImages(random_images(size), device), SEED, device)


def _pggan(size: int, settings: Settings, device: torch.device) -> Program:
    """The first step is of the lowest level; after it the whole networks stand alone."""
    config = pggan.PGGANConfig(image_size=size, stable_images=1, fade_images=0, **settings)
    return pggan.program(config, DeviceImages(random_images(size), device), SEED, device)


def _plain_pggan(size: int, settings: Settings, device: torch.device) -> Program:
    """The same arithmetic as a plain script does it.

    Tensors lie channels first, and the critic's weights get gradients in the generator's phase too,
    which nobody uses.
    """
    program = _pggan(size, settings, device)
    for module in program.modules.values():
        module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    critic = program.modules["discriminator"]

    def unfrozen(phase: Phase) -> Phase:
        def loss(turn: Turn) -> Loss:
            critic.requires_grad_(True)
            return phase.loss(turn)

        return replace(phase, loss=loss)

    program.phases = [unfrozen(phase) for phase in program.phases]
    return program


def _cpggan(size: int, settings: Settings, device: torch.device) -> Program:
    """As PGGAN, with as many images of boxes, which are noise too."""
    config = cpggan.CPGGANConfig(image_size=size, stable_images=1, fade_images=0, **settings)
    images = DeviceImages(random_images(size), device)
    return cpggan.program(config, images, images, SEED, device)


def _pix2pix(size: int, settings: Settings, device: torch.device) -> Program:
    config = pix2pix.Pix2PixConfig(image_size=size, **settings)
    images = DeviceImages(random_images(size), device)
    return pix2pix.program(config, images, images, SEED, device)


def _munit(size: int, settings: Settings, device: torch.device) -> Program:
    config = munit.MUNITConfig(image_size=size, **settings)
    images = DeviceImages(random_images(size), device)
    return munit.program(config, images, images, SEED, device)


def _simgan(size: int, settings: Settings, device: torch.device) -> Program:
    config = simgan.SimGANConfig(image_size=size, **settings)
    images = DeviceImages(random_images(size), device)
    return simgan.program(config, images, images, SEED, device)


def _resnet(size: int, settings: Settings, device: torch.device) -> Program:
    """Without validation, which would fall between timed steps."""
    labels = np.arange(IMAGES) % 2
    noise = ImageSet("noise", random_images(size), labels, augmented=True)
    config = resnet50.ResNetConfig(**settings)
    program = resnet50.program(config, Mixture([noise], device), noise, SEED, device)
    program.selection = None
    return program


def _yolov3(size: int, settings: Settings, device: torch.device) -> Program:
    """At one size, with two boxes an image, and without validation."""
    images = random_images(size)
    rng = np.random.default_rng(SEED)
    low = rng.uniform(0, 0.7, (2 * IMAGES, 2))
    boxes = size * np.hstack([low, low + rng.uniform(0.05, 0.3, low.shape)])
    noise = BoxedImages("noise", images, boxes, np.arange(2 * IMAGES) // 2)
    config = yolov3.YOLOv3Config(train_sizes=(size,), **settings)
    training = BoxedMixture([noise], device)
    program = yolov3.program(config, training, images[:1], lambda found: 0.0, SEED, device)
    program.selection = None
    return program


_THESIS_3 = {"width": 32, "batch_size": 64}
_NO_WARMUP = {"warmup_steps": 0, "burst_every": 0}  # every step has the usual five critic updates
_PGGAN = {"width": 128, "full_width_to": 64, "batch_sizes": (8,)}
_NO_PRELUDE = {"refiner_warmup": 0, "discriminator_warmup": 0}  # every step is an adversarial round
_TINY_3 = {"width": 4, "batch_size": 4}
_TINY_PGGAN = {"width": 4, "latent": 4}

METHODS: dict[str, Method] = {
    "dcgan": Method(
        _dcgan, {"objective": "dcgan", **_THESIS_3}, {64: {}, 128: {}}, _TINY_3, (5, 20)
    ),
    "wgan": Method(
        _dcgan,
        {"objective": "wgan", **_THESIS_3, **_NO_WARMUP},
        {64: {}, 128: {}},
        _TINY_3,
        (5, 20),
    ),
    "pggan": Method(_pggan, _PGGAN, {64: {}}, _TINY_PGGAN, (3, 10)),
    "pggan-plain": Method(_plain_pggan, _PGGAN, {64: {}}, _TINY_PGGAN, (3, 10)),
    "cpggan": Method(_cpggan, _PGGAN, {64: {}}, _TINY_PGGAN, (3, 10)),
    "pix2pix": Method(
        _pix2pix,
        {"critic_width": 128, "full_width_to": 64, "batch_size": 8},
        {64: {}},
        {"width": 4, "critic_width": 4},
        (3, 10),
    ),
    "munit": Method(
        _munit,
        {},
        {60: {"discriminator_layers": 3, "scales": 2}, 224: {}},  # 60 px: too small for 4 and 3
        {"width": 2, "discriminator_width": 2, "hidden": 4},
    ),
    "simgan": Method(
        _simgan, _NO_PRELUDE, {60: {}, 224: {}}, {"width": 2, "batch_size": 2, "history": 2}
    ),
    "resnet18": Method(
        _resnet, {"depth": 18, "batch_size": 16}, {60: {}, 224: {}}, {"batch_size": 2}
    ),
    "resnet50": Method(
        _resnet, {"depth": 50, "batch_size": 16}, {60: {}, 224: {}}, {"batch_size": 2}
    ),
    "yolov3": Method(_yolov3, {"batch_size": 2}, {128: {}}, {"width": 0.05, "depth": 0.1}),
}  # fmt: skip
