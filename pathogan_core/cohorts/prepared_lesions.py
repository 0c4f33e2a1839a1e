"""The lesions in prepared slices: masks and exact boxes. Needs numpy, pandas and pyarrow only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pathogan_core.boxes import COLUMNS
from pathogan_core.cohorts.prepare_parameters import LESION
from pathogan_core.cohorts.prepared import BOXES, PreparedSlices
from pathogan_core.errors import PathoganError
from pathogan_core.files import atomic_write


def write_boxes(folder: Path, by_row: Sequence[Sequence[Sequence[float]]]) -> pd.DataFrame:
    """Write `boxes.parquet`: the exact boxes of each row of the arrays, in pixels of the frame.

    Returns:
        Columns `row`, `xmin`, `ymin`, `xmax`, `ymax`; a slice without a lesion has no row here.
    """
    flat = [[row, *box] for row, boxes in enumerate(by_row) for box in boxes]
    table = pd.DataFrame(flat, columns=["row", *COLUMNS])
    table = table.astype({"row": np.int64, **dict.fromkeys(COLUMNS, np.float64)})
    with atomic_write(folder / BOXES) as handle:
        table.to_parquet(handle, index=False)
    return table


def exact_boxes(prepared: PreparedSlices, size: int, split: str | None = None) -> list[np.ndarray]:
    """The lesions' tight boxes in each image of `prepared.images(..., size, split)`.

    Returns:
        Float64 ``[n, 4]`` for each image, in pixels of `size`; see `pathogan_core.boxes`.

    Raises:
        PathoganError: lesions were not kept, or the file is missing or damaged.
    """
    path, wanted = prepared.folder / BOXES, prepared.rows_of(split)
    frame = prepared.info["parameters"].get("frame")
    try:
        table = pd.read_parquet(path)
        rows, corners = table["row"].to_numpy(np.int64), table[list(COLUMNS)].to_numpy(float)
    except (OSError, ValueError, KeyError) as error:
        raise PathoganError(
            f"cannot be read ({error})" if path.exists() else "is not there",
            where=path,
            remedy="prepare the slices with lesion_tissues",
        ) from error
    scale = size / frame
    order = np.argsort(rows, kind="stable")
    rows, corners = rows[order], corners[order] * scale
    first, last = (np.searchsorted(rows, wanted, side=side) for side in ("left", "right"))
    return [corners[begin:end] for begin, end in zip(first, last, strict=True)]


def lesion_masks(prepared: PreparedSlices, size: int, split: str | None = None) -> np.ndarray:
    """How much of each pixel is lesion, uint8 ``[N, size, size]``, 255 for all of it."""
    return np.asarray(prepared.memmap(LESION, size)[prepared.rows_of(split)])
