"""MUNIT and SimGAN refine what PGGAN drew, each class by itself (thesis section 4.2.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pathogan_core.experiments import pooling
from pathogan_core.experiments.chapter4 import configurations, pools
from pathogan_core.experiments.chapter4.data import Chapter
from pathogan_core.experiments.chapter4.parameters import Parameters
from pathogan_core.experiments.store import Outcome, Run, RunSpec
from pathogan_core.experiments.weights import load_network
from pathogan_core.gans import munit, simgan
from pathogan_core.gans.simgan_networks import Refiner
from pathogan_core.training.batches import DeviceImages, to_uint8, to_unit_range
from pathogan_core.training.checkpoint import save_tensors
from pathogan_core.training.loop import train
from pathogan_core.training.phases import Program
from pathogan_core.training.randomness import derive_seed


@dataclass(frozen=True)
class Method:
    """One of the two refiners, as the rest of the chapter sees it.

    Args:
        revision, config, program: the method's.
        steps: candidates among which validation chooses.
        rounds: of the loop, for so many of the thesis' steps.
        trained: name of the module that refines.
        build: that module, for a configuration.
        refine: ``(module, images, seed, index of the first image) -> images``.
    """

    revision: int
    config: Callable[[Parameters], Any]
    program: Callable[..., Program]
    steps: Callable[[Parameters], tuple[int, ...]]
    rounds: Callable[[Any, int], int]
    trained: str
    build: Callable[[dict[str, Any]], nn.Module]
    refine: Callable[[Any, Tensor, int, int], Tensor]


METHODS = {
    "munit": Method(
        munit.REVISION, configurations.munit, munit.program,
        steps=lambda p: p.munit_steps,
        rounds=lambda config, steps: steps,
        trained="translators",
        build=lambda values: munit.networks(munit.MUNITConfig(**values))[0],
        refine=lambda module, images, seed, first: munit.refine(module, images, seed, first=first),
    ),
    "simgan": Method(
        simgan.REVISION, configurations.simgan, simgan.program,
        steps=lambda p: p.simgan_steps,
        rounds=lambda config, steps: config.rounds(steps),
        trained="refiner",
        build=lambda values: Refiner(values["width"], values["blocks"]),
        refine=lambda module, images, seed, first: simgan.refine(module, images),
    ),
}  # fmt: skip


def weights_file(steps: int) -> str:
    """The file of a run that holds the refiner after so many steps."""
    return f"refiner-{steps}.safetensors"


def train_refiner(chapter: Chapter, method: str, name: str) -> Run:
    """A class's refiner, ``munit`` or ``simgan``, with its weights at every candidate's steps.

    The candidates are one training, looked at along the way: the learning rate does not depend on
    how long it lasts.
    """
    p, how = chapter.parameters, METHODS[method]
    config, candidates = how.config(p), sorted(how.steps(p))
    kept = pools.kept(chapter, name)
    spec = RunSpec(
        chapter="ch4",
        setup=f"{method}-{name}-{p.classifier_size}",
        method=method,
        revision=how.revision,
        config={
            **asdict(config),
            "steps": candidates,
            "images": p.refiner_images,
        },
        inputs={
            "images": chapter.provenance("train", name),
            "synthetic": pooling.made_by(kept),
        },
        scale=p.scale,
        seed=p.seed,
    )

    def run(folder: Path) -> Outcome:
        synthetic = np.array(pooling.images_of(kept)[: p.refiner_images])
        real = _some(chapter.classifier_images("train", name), p.refiner_images, p.seed)
        program = how.program(
            config,
            DeviceImages(synthetic, chapter.device),
            DeviceImages(real, chapter.device),
            p.seed,
            chapter.device,
        )
        options = chapter.loop_options(how.rounds(config, candidates[-1]))
        for steps in candidates:
            path = folder / weights_file(steps)
            if path.exists() and steps != candidates[-1]:
                continue  # resumed beyond it
            rounds = how.rounds(config, steps)
            clock = train(program, folder, steps=rounds, seed=p.seed, options=options)
            weights = program.best(how.trained).state_dict()
            save_tensors(path, weights, {"config": asdict(config)})
        return Outcome(clock.step, clock.images, clock.seconds, chapter.device)

    return chapter.store.train_or_load(spec, run)


def refined(chapter: Chapter, method: str, name: str, steps: int) -> Run:
    """The pool of a class, without what was discarded, refined after so many steps."""
    p, how = chapter.parameters, METHODS[method]
    kept, refiner = pools.kept(chapter, name), train_refiner(chapter, method, name)
    spec = RunSpec(
        chapter="ch4",
        setup=f"stage-{method}-{name}",
        method="pool",
        revision=pools.REVISION,
        config={"of": method, "steps": steps},
        inputs={"refiner": pooling.made_by(refiner), "synthetic": pooling.made_by(kept)},
        scale=p.scale,
        seed=p.seed,
    )
    images = pooling.images_of(kept)

    def parts() -> Iterator[np.ndarray]:
        network = load_network(refiner, how.build, weights_file(steps)).to(chapter.device)
        for first in range(0, len(images), pools.AT_ONCE):
            part = np.array(images[first : first + pools.AT_ONCE])
            given = to_unit_range(torch.from_numpy(part))[:, None]
            yield to_uint8(how.refine(network, given, p.seed, first))[:, 0].numpy()

    return chapter.store.train_or_load(spec, pooling.storing(parts, images.shape))


def _some(images: np.ndarray, count: int, seed: int) -> np.ndarray:
    """At most `count` of the images, drawn without replacement."""
    chosen = np.random.default_rng(derive_seed(seed, "refiner")).permutation(len(images))[:count]
    return images[np.sort(chosen)]
