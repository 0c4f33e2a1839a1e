"""The picture of the README: simulated T1c slices, then images by the study runs.

    python scripts/readme_picture.py

Left to right: simulated slices of the study cohort (prepared first if need be), DCGAN, WGAN; the
first images of each study run's sheet of samples, as they came.
"""

from __future__ import annotations

import sys

import numpy as np
import yaml
from PIL import Image

from pathogan_core.errors import PathoganError
from pathogan_core.experiments import chapter3
from pathogan_core.experiments.committed import committed_run
from pathogan_core.figures.images import read_sheet
from pathogan_core.places import project_root

SETUPS = ("dcgan-t1c-64", "wgan-t1c-64")
ROWS, COLUMNS, SHEET_COLUMNS = 4, 4, 8
SCALE, GAP = 2, 16


def main() -> int:
    try:
        panels = [simulated_slices(), *(samples(setup) for setup in SETUPS)]
    except PathoganError as error:
        print(f"readme_picture: {error}", file=sys.stderr)
        return 1
    gap = np.full((panels[0].shape[0], GAP), 255, np.uint8)
    picture = np.concatenate([part for panel in panels for part in (gap, panel)][1:], axis=1)
    Image.fromarray(picture).save(
        project_root() / "book" / "figures" / "readme.png", "png", optimize=True
    )
    return 0


def simulated_slices() -> np.ndarray:
    """Slices of different patients and places, as the study's models meet them."""
    study = project_root() / "notebooks" / "params" / "ch3_brain_mri_wgan.study.yaml"
    parameters = chapter3.Parameters.from_notebook(yaml.safe_load(study.read_text()))
    images = chapter3.prepared_slices(parameters).images("t1c", 64, "train")
    count = ROWS * COLUMNS
    return panel(images[np.linspace(9, len(images) - 9, count).astype(int)])


def samples(setup: str) -> np.ndarray:
    """The first images that a study run made."""
    run = committed_run("ch3", setup)
    if run is None:
        raise PathoganError("is not committed", where=setup, remedy="run scripts/study.py first")
    return panel(read_sheet((run.folder / "samples.png").read_bytes(), SHEET_COLUMNS))


def panel(images: np.ndarray) -> np.ndarray:
    """uint8 ``[N, S, S]`` as one enlarged grid."""
    size = images.shape[1]
    tiles = images[: ROWS * COLUMNS].reshape(ROWS, COLUMNS, size, size)
    grid = Image.fromarray(tiles.transpose(0, 2, 1, 3).reshape(ROWS * size, COLUMNS * size))
    wide, high = (SCALE * side for side in grid.size)
    return np.asarray(grid.resize((wide, high), Image.Resampling.BICUBIC))


if __name__ == "__main__":
    sys.exit(main())
