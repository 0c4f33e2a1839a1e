"""What `pathogan generate` draws with: a finished run's generator, and the boxes asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

from pathogan_core.errors import PathoganError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from pathogan_core.experiments.store import Run

PLACING = ("cpggan", "pix2pix")
"""Methods that are asked for boxes."""


@dataclass(frozen=True)
class Artist:
    """Draws images of latents.

    Attributes:
        latent: size of a latent.
        draw: of latents ``[n, latent]``, the first of which is image `begin`, uint8 ``[n, S, S]``.
        boxes: of each image, ``[k, 4]`` in pixels; None where nothing is asked for.
    """

    latent: int
    draw: Callable[[Tensor, int], np.ndarray]
    boxes: Sequence[np.ndarray] | None = None


def artist_of(run: Run, count: int, seed: int, boxes: Path | None = None) -> Artist:
    """The artist that a run's generator is.

    Args:
        count, seed: how many images are drawn, and with which seed.
        boxes: CSV with the boxes that a GAN of `PLACING` is asked for; without it those that are
            stored with the run, flipped, shifted and zoomed as in its chapter.

    Raises:
        PathoganError: the run made no images, or boxes are missing or make no sense for it.
    """
    method = run.record.method
    if boxes is not None and method not in PLACING:
        raise PathoganError(
            f"mean nothing to {method}",
            where="--boxes",
            remedy=f"leave it out, or name a run of {' or '.join(PLACING)}",
        )
    makers = {"dcgan": _plain, "wgan": _plain, "pggan": _growing}
    if method in PLACING:
        return _placing(run, count, seed, boxes)
    if method not in makers:
        raise PathoganError(
            f"is a run of {method}, which draws nothing from noise",
            where=run.folder,
            remedy=f"name a run of dcgan, wgan, pggan, {' or '.join(PLACING)}",
        )
    return makers[method](run)


def _plain(run: Run) -> Artist:
    from pathogan_core.experiments import chapter3
    from pathogan_core.gans.sampling import draw
    from pathogan_core.training.batches import to_uint8

    generator = chapter3.load_generator(run)
    return Artist(
        run.record.config["latent"],
        lambda latents, begin: to_uint8(draw(generator, latents))[:, 0].numpy(),
    )


def _growing(run: Run) -> Artist:
    from pathogan_core.experiments.chapter4 import drawing
    from pathogan_core.gans import pggan
    from pathogan_core.training.batches import to_uint8

    generator = drawing.load_generator(run)
    return Artist(
        run.record.config["latent"],
        lambda latents, begin: to_uint8(pggan.draw(generator, latents))[:, 0].numpy(),
    )


def _placing(run: Run, count: int, seed: int, path: Path | None) -> Artist:
    import numpy as np

    from pathogan_core.experiments.chapter5 import placing
    from pathogan_core.gans.sampling import draw as drawn_by
    from pathogan_core.training.batches import to_uint8

    config, generator = placing.config_of(run), placing.load_generator(run)
    if path is None:
        asked = _asked(run, config.image_size, count, seed)
    else:
        asked = list(islice(cycle(read_boxes(path, config.image_size)), count))

    def draw(latents: Tensor, begin: int) -> np.ndarray:
        boxes = list(asked[begin : begin + len(latents)])
        boxes += [np.empty((0, 4))] * (len(latents) - len(boxes))
        condition = placing.condition_of(config, boxes)
        return to_uint8(drawn_by(generator, latents, 64, condition))[:, 0].numpy()

    return Artist(config.latent, draw, asked)


def _asked(run: Run, size: int, count: int, seed: int) -> list[np.ndarray]:
    """The boxes that are stored with a committed run, moved as those it was trained with."""
    from pathogan_core.experiments.chapter5 import reporting
    from pathogan_core.experiments.chapter5.asking import asked_boxes

    if not (run.folder / reporting.BOXES).exists():
        raise PathoganError(
            "holds no boxes to ask for",
            where=run.folder,
            remedy="give --boxes, a CSV with image,xmin,ymin,xmax,ymax",
        )
    return asked_boxes(reporting.committed_boxes(run), size, count, seed)[0]


def read_boxes(path: Path, size: int) -> list[np.ndarray]:
    """The boxes of each image of a CSV, ``[k, 4]``, images in the order in which they occur.

    Raises:
        PathoganError: the file cannot be read, or a box means nothing or leaves the image.
    """
    import numpy as np

    from pathogan_core import boxes as box_rules
    from pathogan_core.evaluation.csv_rows import read_rows

    found: dict[str, list[list[float]]] = {}
    for place, row in read_rows(path, ("image", *box_rules.COLUMNS)):
        try:
            box = [float(row[name]) for name in box_rules.COLUMNS]
        except ValueError as error:
            raise PathoganError(
                f"{place} has a corner that is no number", where=path, remedy="mend that row"
            ) from error
        if (wrong := box_rules.first_problem([box], size, size)) is not None:
            raise PathoganError(f"{place}: box {wrong[1]}", where=path, remedy=wrong[2])
        found.setdefault(row["image"], []).append(box)
    return [np.array(some) for some in found.values()]
