"""GANs that place lesions in boxes: CPGGAN without and with normal subjects, a U-Net (5.2.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pathogan_core.cohorts.rough_boxes import REVISION as ANNOTATION_REVISION
from pathogan_core.experiments import growing
from pathogan_core.experiments.chapter5 import configurations
from pathogan_core.experiments.chapter5.asking import asked_boxes
from pathogan_core.experiments.chapter5.data import SEQUENCE, Chapter, drawn
from pathogan_core.experiments.chapter5.parameters import TRANSLATION, WITH_NORMAL
from pathogan_core.experiments.growing import PREVIEWED
from pathogan_core.experiments.pooling import AT_ONCE
from pathogan_core.experiments.store import GENERATOR, Outcome, Run, RunSpec
from pathogan_core.experiments.weights import configuration_of, load_network
from pathogan_core.gans import cpggan, pix2pix, sampling
from pathogan_core.gans.cpggan import CPGGANConfig
from pathogan_core.gans.growth import Stage
from pathogan_core.gans.pix2pix import Pix2PixConfig
from pathogan_core.training.batches import DeviceImages, to_uint8, to_unit_range
from pathogan_core.training.checkpoint import save_tensors
from pathogan_core.training.loop import train

CONFIGS: Mapping[str, type[CPGGANConfig] | type[Pix2PixConfig]] = {
    "cpggan": CPGGANConfig,
    "pix2pix": Pix2PixConfig,
}
"""By method, of the runs whose generators place lesions in boxes."""


def train_gan(chapter: Chapter, gan: str) -> Run:
    """One of `parameters.GANS`: found, resumed or trained."""
    return (train_pix2pix if gan == TRANSLATION else train_cpggan)(chapter, gan)


def train_cpggan(chapter: Chapter, gan: str) -> Run:
    """CPGGAN, trained with the annotated slices, or with those of normal subjects too."""
    p = chapter.parameters
    config, seed = configurations.cpggan(p), p.seed
    spec = _spec(chapter, gan, "cpggan", cpggan.REVISION, config)

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


def train_pix2pix(chapter: Chapter, gan: str) -> Run:
    """The image-to-image GAN, trained with the annotated slices alone (thesis 5.2.1, iii)."""
    p = chapter.parameters
    config, seed = configurations.pix2pix(p), p.seed
    spec = _spec(chapter, gan, "pix2pix", pix2pix.REVISION, config)

    def run(folder: Path) -> Outcome:
        images, boxes = _training_set(chapter, gan)
        program = pix2pix.program(config, images, boxes, seed, chapter.device)
        steps = config.steps(p.gan_images)
        clock = train(program, folder, steps=steps, seed=seed, options=chapter.loop_options(steps))
        weights = program.best("generator").state_dict()
        save_tensors(folder / GENERATOR, weights, {"config": asdict(config)})
        return Outcome(clock.step, clock.images, clock.seconds, chapter.device)

    return chapter.store.train_or_load(spec, run)


def _spec(
    chapter: Chapter, gan: str, method: str, revision: int, config: CPGGANConfig | Pix2PixConfig
) -> RunSpec:
    p = chapter.parameters
    inputs = {"images": chapter.provenance("train")}
    if gan == WITH_NORMAL:
        inputs["normal"] = chapter.normal.provenance(SEQUENCE, p.image_size, "train")
    return RunSpec(
        chapter="ch5",
        setup=f"{gan}-{config.image_size}",
        method=method,
        revision=revision,
        config={
            **asdict(config),
            "images": p.gan_images,
            "annotation_revision": ANNOTATION_REVISION,
            "sequence": SEQUENCE,
            "split": "train",
        },
        inputs=inputs,
        scale=p.scale,
        seed=p.seed,
    )


def _training_set(chapter: Chapter, gan: str) -> tuple[DeviceImages, DeviceImages]:
    """Images, and their boxes drawn; those of normal subjects are black."""
    images = chapter.training.images
    boxes = drawn(chapter.training.rough, images.shape[1])
    if gan == WITH_NORMAL:
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


def condition_of(config: CPGGANConfig | Pix2PixConfig, boxes: Sequence[np.ndarray]) -> torch.Tensor:
    """Conditions ``[N, 1, S, S]`` of the boxes of N images."""
    shown = torch.from_numpy(drawn(boxes, config.image_size))[:, None]
    return config.condition((to_unit_range(shown) + 1) / 2)


def config_of(run: Run) -> CPGGANConfig | Pix2PixConfig:
    """The configuration in a run's record."""
    return configuration_of(run, CONFIGS[run.record.method])


def cpggan_config_of(run: Run) -> CPGGANConfig:
    """The same of a CPGGAN."""
    return configuration_of(run, CPGGANConfig)


def load_generator(run: Run) -> nn.Module:
    """A finished GAN's averaged generator; see `weights.load_network` for what is refused."""

    def build(values: dict[str, Any]) -> nn.Module:
        return CONFIGS[run.record.method](**values).generator()

    return load_network(run, build)


def fill(run: Run, boxes: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """Images with lesions in the boxes asked for, uint8 ``[N, R, R]``.

    Args:
        run: a finished GAN of `CONFIGS`.
        boxes: of each image, ``[n, 4]`` in pixels of its size.
        seed: of the latents; image i's does not depend on how many there are.
    """
    parts = list(filled_parts(run, boxes, seed))
    size = config_of(run).image_size
    return np.concatenate([np.empty((0, size, size), np.uint8), *parts])


def filled_parts(
    run: Run, boxes: Sequence[np.ndarray], seed: int, device: torch.device | str = "cpu"
) -> Iterator[np.ndarray]:
    """The images of `fill`, `AT_ONCE` at a time: neither they nor their noise need fit memory."""
    config, generator = config_of(run), load_generator(run).to(device)
    stream = sampling.latent_stream(seed)
    for start in range(0, len(boxes), AT_ONCE):
        some = boxes[start : start + AT_ONCE]
        noise = stream.standard_normal((len(some), config.latent), np.float32)
        condition = condition_of(config, some)
        images = sampling.draw(generator, torch.from_numpy(noise), 64, condition)
        yield to_uint8(images)[:, 0].numpy()
