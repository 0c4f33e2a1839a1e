"""CPGGAN places lesions in boxes, trained without and with normal subjects (thesis 5.2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pathogan_core.cohorts.rough_boxes import REVISION as ANNOTATION_REVISION
from pathogan_core.experiments import growing
from pathogan_core.experiments.chapter5 import configurations
from pathogan_core.experiments.chapter5.asking import asked_boxes
from pathogan_core.experiments.chapter5.data import SEQUENCE, Chapter, drawn
from pathogan_core.experiments.growing import PREVIEWED
from pathogan_core.experiments.store import Outcome, Run, RunSpec
from pathogan_core.experiments.weights import configuration_of, load_network
from pathogan_core.gans import cpggan, sampling
from pathogan_core.gans.cpggan_networks import Generator
from pathogan_core.gans.growth import Stage
from pathogan_core.training.batches import DeviceImages, to_uint8, to_unit_range


def train_cpggan(chapter: Chapter, gan: str) -> Run:
    """A CPGGAN, of `parameters.GANS`: found, resumed or trained."""
    p = chapter.parameters
    config, seed = configurations.cpggan(p), p.seed
    inputs = {"images": chapter.provenance("train")}
    if gan == "cpggan-normal":
        inputs["normal"] = chapter.normal.provenance(SEQUENCE, p.image_size, "train")
    spec = RunSpec(
        chapter="ch5",
        setup=f"{gan}-{config.image_size}",
        method="cpggan",
        revision=cpggan.REVISION,
        config={
            **asdict(config),
            "images": p.gan_images,
            "annotation_revision": ANNOTATION_REVISION,
            "sequence": SEQUENCE,
            "split": "train",
        },
        inputs=inputs,
        scale=p.scale,
        seed=seed,
    )

    def run(folder: Path) -> Outcome:
        images, boxes = _training_set(chapter, gan)
        program = cpggan.program(config, images, boxes, seed, chapter.device)
        condition = condition_of(config, previewed_boxes(chapter))
        noise = sampling.latents(PREVIEWED, config.latent, seed)

        def draw_previews(stage: Stage) -> torch.Tensor:
            return cpggan.draw(program.best("generator"), noise, condition, stage=stage)

        return growing.train_growing(
            chapter, folder, program, config, p.gan_images, draw_previews, seed
        )

    return chapter.store.train_or_load(spec, run)


def _training_set(chapter: Chapter, gan: str) -> tuple[DeviceImages, DeviceImages]:
    """Images, and their boxes drawn; those of normal subjects are black."""
    images = chapter.training.images
    boxes = drawn(chapter.training.rough, images.shape[1])
    if gan == "cpggan-normal":
        normal = chapter.normal_images()
        images = np.concatenate([images, normal])
        boxes = np.concatenate([boxes, np.zeros_like(normal)])
    return DeviceImages(images, chapter.device), DeviceImages(boxes, chapter.device)


def previewed_boxes(chapter: Chapter) -> list[np.ndarray]:
    """The boxes of always the same images that are drawn while a CPGGAN grows."""
    return asked(chapter, PREVIEWED)[0]


def asked(chapter: Chapter, count: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Boxes for `count` synthetic images, and the training slice that each comes from."""
    p = chapter.parameters
    return asked_boxes(
        chapter.training.rough, p.image_size, count, p.seed,
        shift=p.shift, zoom=p.zoom, least_left=p.least_left,
    )  # fmt: skip


def condition_of(config: cpggan.CPGGANConfig, boxes: Sequence[np.ndarray]) -> torch.Tensor:
    """Conditions ``[N, 1, S, S]`` of the boxes of N images."""
    shown = torch.from_numpy(drawn(boxes, config.image_size))[:, None]
    return config.condition((to_unit_range(shown) + 1) / 2)


def cpggan_config_of(run: Run) -> cpggan.CPGGANConfig:
    """The configuration in a run's record."""
    return configuration_of(run, cpggan.CPGGANConfig)


def load_generator(run: Run) -> Generator:
    """A finished CPGGAN's averaged generator; see `weights.load_network` for what is refused."""

    def build(values: dict[str, Any]) -> Generator:
        return cpggan.CPGGANConfig(**values).generator()

    return load_network(run, build)


def fill(run: Run, boxes: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """Images with lesions in the boxes asked for, uint8 ``[N, R, R]``.

    Args:
        run: a finished CPGGAN.
        boxes: of each image, ``[n, 4]`` in pixels of its size.
        seed: of the latents; image i's does not depend on how many there are.
    """
    config, generator = cpggan_config_of(run), load_generator(run)
    noise = sampling.latents(len(boxes), config.latent, seed)
    images = cpggan.draw(generator, noise, condition_of(config, boxes), batch=64)
    return to_uint8(images)[:, 0].numpy()
