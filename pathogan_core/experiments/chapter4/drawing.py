"""One PGGAN for each class draws slices from noise (thesis section 4.2.2)."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pathogan_core.errors import PathoganError
from pathogan_core.experiments import growing
from pathogan_core.experiments.chapter4 import configurations
from pathogan_core.experiments.chapter4.data import SEQUENCE, Chapter
from pathogan_core.experiments.growing import PREVIEWED, Preview
from pathogan_core.experiments.store import Outcome, Run, RunSpec
from pathogan_core.experiments.weights import configuration_of, load_network
from pathogan_core.gans import pggan
from pathogan_core.gans.growth import Stage, equal_phases
from pathogan_core.gans.pggan_networks import Generator, at_stage
from pathogan_core.training.batches import DeviceImages, to_uint8, to_unit_range


def images_to_see(chapter: Chapter, name: str) -> int:
    """Real images that the PGGAN of a class is trained with, repetitions counted."""
    p = chapter.parameters
    return p.pggan_images or p.pggan_epochs * chapter.provenance("train", name)["images"]


def configuration(chapter: Chapter, name: str) -> pggan.PGGANConfig:
    """The PGGAN of a class; classes differ only where the phases' length is one of epochs.

    Raises:
        PathoganError: training would end before the last level has faded in.
    """
    p, images = chapter.parameters, images_to_see(chapter, name)
    config = configurations.pggan(p)
    stable, fade = p.stable_images, p.fade_images
    if not stable:
        stable = fade = equal_phases(images, config.levels)
    config = replace(config, stable_images=stable, fade_images=fade)
    if images < (grown := config.growth.boundaries[-1]):
        raise PathoganError(
            f"{images} images of class {name} end before the last level has faded in, at {grown}",
            where="pggan_images",
            remedy="give more, or shorter phases: stable_images of 0 makes them fit",
        )
    return config


def train_pggan(chapter: Chapter, name: str) -> Run:
    """The PGGAN of a class, ``tumour`` or ``non_tumour``: found, resumed or trained."""
    config, seed = configuration(chapter, name), chapter.parameters.seed
    images = images_to_see(chapter, name)
    spec = RunSpec(
        chapter="ch4",
        setup=f"pggan-{name}-{config.image_size}",
        method="pggan",
        revision=pggan.REVISION,
        config={**asdict(config), "images": images, "sequence": SEQUENCE, "split": "train"},
        inputs={"images": chapter.provenance("train", name)},
        scale=chapter.parameters.scale,
        seed=seed,
    )

    def run(folder: Path) -> Outcome:
        real = DeviceImages(chapter.gan_images(name), chapter.device)
        program = pggan.program(config, real, seed, chapter.device)

        def draw_previews(stage: Stage) -> torch.Tensor:
            average = program.best("generator")
            return pggan.sample(average, PREVIEWED, config.latent, seed, stage=stage)

        return growing.train_growing(chapter, folder, program, config, images, draw_previews, seed)

    return chapter.store.train_or_load(spec, run)


def previews(run: Run) -> list[Preview]:
    """Images of always the same latents, at each line of the log, oldest first.

    Raises:
        PathoganError: the file is missing or damaged.
    """
    return growing.previews(run, pggan_config_of(run).growth)


def real_at(images: np.ndarray, stage: Stage) -> np.ndarray:
    """Real images, uint8 ``[N, S, S]``, as the critic is shown them at a stage: ``[N, R, R]``."""
    return to_uint8(at_stage(to_unit_range(torch.from_numpy(images))[:, None], stage))[:, 0].numpy()


def pggan_config_of(run: Run) -> pggan.PGGANConfig:
    """The configuration in a run's record."""
    return configuration_of(run, pggan.PGGANConfig)


def load_generator(run: Run) -> Generator:
    """A finished PGGAN's averaged generator; see `weights.load_network` for what is refused."""

    def build(values: dict[str, Any]) -> Generator:
        config = pggan.PGGANConfig(**values)
        return Generator(config.channels, config.latent)

    return load_network(run, build)


def draw(run: Run, count: int, seed: int, stage: Stage | None = None) -> np.ndarray:
    """`count` images as the PGGAN draws them, uint8 ``[count, R, R]``."""
    generator, latent = load_generator(run), run.record.config["latent"]
    drawn = pggan.sample(generator, count, latent, seed, batch=64, stage=stage)
    return to_uint8(drawn)[:, 0].numpy()
