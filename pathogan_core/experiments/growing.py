"""Training a growing GAN, and what it drew at each line of its log, from the same latents."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from pathogan_core.experiments.store import GENERATOR, Outcome, Run
from pathogan_core.experiments.workplace import Workplace
from pathogan_core.files import atomic_write
from pathogan_core.gans.growth import Growth, Stage
from pathogan_core.gans.pggan import PGGANConfig
from pathogan_core.training.batches import to_uint8
from pathogan_core.training.checkpoint import save_tensors
from pathogan_core.training.loop import Clock, train
from pathogan_core.training.phases import Program

GROWTH = "growth.npz"
"""Of a finished run: the images at each line of the log, by real images seen."""
GROWING = "growth"
"""The folder that holds them until then."""
PREVIEWED = 8


@dataclass(frozen=True, eq=False)
class Preview:
    """What a generator drew while it grew: uint8 ``[8, R, R]`` after so many real images."""

    images_seen: int
    stage: Stage
    images: np.ndarray


def train_growing(
    chapter: Workplace,
    folder: Path,
    program: Program,
    config: PGGANConfig,
    images: int,
    draw: Callable[[Stage], Tensor],
    seed: int,
) -> Outcome:
    """Train a PGGAN or CPGGAN, and leave its averaged generator and its previews in the folder.

    Args:
        images: real images to see.
        draw: as of `previewer`.
    """
    steps = config.steps(images)
    preview = previewer(draw, config.growth, folder)
    options = replace(chapter.loop_options(steps), on_tick=preview)
    clock = train(program, folder, steps=steps, seed=seed, options=options)
    gather_previews(folder)
    weights = program.best("generator").state_dict()
    save_tensors(folder / GENERATOR, weights, {"config": asdict(config)})
    return Outcome(clock.step, clock.images, clock.seconds, chapter.device)


def previewer(
    draw: Callable[[Stage], Tensor], growth: Growth, run: Path
) -> Callable[[Clock, dict[str, Any]], None]:
    """Writes what the generator draws as it is, named by the real images seen.

    Args:
        draw: from a stage to float ``[8, 1, R, R]``, as the generator is at that moment.
        growth: when it grows.
        run: the run's folder.
    """

    def preview(clock: Clock, _: dict[str, Any]) -> None:
        drawn = draw(growth.at(clock.images))
        with atomic_write(run / GROWING / f"{clock.images:010d}.npy") as handle:
            np.save(handle, to_uint8(drawn)[:, 0].numpy())

    return preview


def gather_previews(run: Path) -> None:
    """One file of them all, written once: of a folder half removed, not all of them are left."""
    if not (run / GROWTH).exists():
        found = sorted((run / GROWING).glob("*.npy"))
        images = {int(path.stem): np.load(path, allow_pickle=False) for path in found}
        with atomic_write(run / GROWTH) as handle:
            handle.write(packed(images))
    shutil.rmtree(run / GROWING, ignore_errors=True)


def packed(images: Mapping[int, np.ndarray]) -> bytes:
    """The content of `GROWTH`: uint8 ``[n, R, R]`` by the real images seen."""
    buffer = io.BytesIO()
    named: dict[str, Any] = {str(seen): some for seen, some in images.items()}
    np.savez_compressed(buffer, **named)
    return buffer.getvalue()


def previews(run: Run, growth: Growth) -> list[Preview]:
    """Images of always the same latents, at each line of the log, oldest first.

    Raises:
        PathoganError: the file is missing or damaged.
    """
    images = {int(name): drawn for name, drawn in run.arrays(GROWTH).items()}
    return [Preview(seen, growth.at(seen), images[seen]) for seen in sorted(images)]


def chosen_previews(run: Run, growth: Growth, count: int) -> bytes:
    """The content of `GROWTH` with `count` of its moments, evenly spaced: what is committed."""
    found = previews(run, growth)
    numbers = np.unique(np.linspace(0, len(found) - 1, count).round().astype(int))
    return packed({found[number].images_seen: found[number].images for number in numbers})
