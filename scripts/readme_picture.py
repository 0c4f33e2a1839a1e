"""The picture of the README: simulated T1c slices, each kind beside what a study run made of it.

    python scripts/readme_picture.py

Left to right: simulated sagittal slices, DCGAN, simulated axial slices with a tumour, PGGAN. The
cohorts are prepared first if need be; of a run, the first images of its sheet, as they came.
"""

from __future__ import annotations

import sys

import numpy as np
import study_chapter3
import study_chapter4
import yaml
from PIL import Image

from pathogan_core.errors import PathoganError
from pathogan_core.experiments import chapter3
from pathogan_core.experiments.chapter4.data import Chapter
from pathogan_core.experiments.chapter4.parameters import Parameters
from pathogan_core.experiments.committed import committed_run
from pathogan_core.figures.images import read_sheet
from pathogan_core.places import project_root

ROWS, COLUMNS, SHEET_COLUMNS = 4, 3, 8
SCALE, GAP, WIDE_GAP = 2, 12, 36


def main() -> int:
    try:
        parts = [sagittal(), drawn("ch3", "dcgan-t1c-64"), axial(), drawn("ch4", "pggan-tumour-64")]
    except PathoganError as error:
        print(f"readme_picture: {error}", file=sys.stderr)
        return 1
    first, *others = map(panel, parts)
    row = [first]
    for gap, other in zip((GAP, WIDE_GAP, GAP), others, strict=True):
        row += [np.full((len(first), gap), 255, np.uint8), other]
    path = project_root() / "book" / "figures" / "readme.png"
    Image.fromarray(np.concatenate(row, axis=1)).save(path, "png", optimize=True)
    return 0


def sagittal() -> np.ndarray:
    """Slices of different patients and places, as chapter 3's study models meet them."""
    p = chapter3.Parameters.from_notebook(study_parameters(study_chapter3.PARAMETERS))
    return spread(chapter3.prepared_slices(p).images("t1c", 64, "train"))


def axial() -> np.ndarray:
    """The tumour class, as chapter 4's PGGAN meets it."""
    p = Parameters.from_notebook(study_parameters(study_chapter4.PARAMETERS))
    return spread(Chapter.open(p).gan_images("tumour"))


def study_parameters(file: str) -> dict:
    """Of a chapter, at study scale."""
    return yaml.safe_load((project_root() / "notebooks" / "params" / file).read_text())


def spread(images: np.ndarray) -> np.ndarray:
    """As many as a panel holds, from the whole of them."""
    return images[np.linspace(9, len(images) - 9, ROWS * COLUMNS).astype(int)]


def drawn(chapter: str, setup: str) -> np.ndarray:
    """Images that a study run made."""
    run = committed_run(chapter, setup)
    if run is None:
        raise PathoganError("is not committed", where=setup, remedy="run scripts/study.py first")
    return read_sheet((run.folder / "samples.png").read_bytes(), SHEET_COLUMNS)


def panel(images: np.ndarray) -> np.ndarray:
    """uint8 ``[N, S, S]`` as one enlarged grid."""
    size = images.shape[1]
    tiles = images[: ROWS * COLUMNS].reshape(ROWS, COLUMNS, size, size)
    grid = Image.fromarray(tiles.transpose(0, 2, 1, 3).reshape(ROWS * size, COLUMNS * size))
    wide, high = (SCALE * side for side in grid.size)
    return np.asarray(grid.resize((wide, high), Image.Resampling.BICUBIC))


if __name__ == "__main__":
    sys.exit(main())
