"""One scan's share of the prepared slices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pathogan_core.cohorts.cases import SEQUENCES, TISSUES, Case, LoadedCase
from pathogan_core.cohorts.prepare_parameters import PreparationParameters
from pathogan_core.cohorts.slices import fit_frame, normalise_intensity, resize_area
from pathogan_core.errors import PathoganError


@dataclass(frozen=True)
class PreparedScan:
    """One scan's images and their rows of the table.

    Attributes:
        images: (sequence, size) to uint8 `[slices, size, size]`.
        columns: `brain_fraction` and `<tissue>_voxels`, one value per slice.
        content_hash: of what the scan was made of.
    """

    images: dict[tuple[str, int], np.ndarray]
    columns: dict[str, list[float]]
    content_hash: str


def prepare_scan(case: Case, parameters: PreparationParameters) -> PreparedScan:
    """Load one case and cut, normalise and shrink its slices; errors name the scan."""
    try:
        loaded = case.load()
        _check_shapes(loaded, parameters.volume_shape)
        images: dict[tuple[str, int], np.ndarray] = {}
        for sequence in parameters.sequences:
            slices = _cut(_named(sequence, loaded.volumes[sequence], parameters), parameters)
            if parameters.frame is not None:
                slices = fit_frame(slices, parameters.frame)
            for size in parameters.sizes:
                images[sequence, size] = np.rint(resize_area(slices, size)).astype(np.uint8)
        return PreparedScan(images, _columns(loaded, parameters), case.content_hash())
    except PathoganError as error:
        if error.where is not None:
            raise
        raise PathoganError(
            error.problem, where=case.scan, remedy="run `pathogan cohorts check` on the cohort"
        ) from error


def _cut(volume: np.ndarray, parameters: PreparationParameters) -> np.ndarray:
    return parameters.cutting.cut(volume, parameters.first_slice, parameters.last_slice)


def _named(sequence: str, volume: np.ndarray, parameters: PreparationParameters) -> np.ndarray:
    try:
        return normalise_intensity(volume, parameters.white_percentile)
    except PathoganError as error:
        raise PathoganError(f"{sequence} {error.problem}") from error


def _check_shapes(loaded: LoadedCase, expected: tuple[int, int, int]) -> None:
    for name, array in {**loaded.volumes, **loaded.tissues}.items():
        if array.shape != expected:
            found, wanted = ("x".join(map(str, shape)) for shape in (array.shape, expected))
            raise PathoganError(f"{name} is {found} (z, y, x) instead of {wanted}")


def _columns(loaded: LoadedCase, parameters: PreparationParameters) -> dict[str, list[float]]:
    """Table columns that are read off the voxels before anything is framed or shrunk."""
    brain = np.any([loaded.volumes[sequence] != 0 for sequence in SEQUENCES], axis=0)
    columns = {"brain_fraction": _cut(brain, parameters).mean(axis=(1, 2)).tolist()}
    for tissue in TISSUES:
        labelled = _cut(loaded.tissues[tissue], parameters)
        columns[f"{tissue}_voxels"] = labelled.sum(axis=(1, 2), dtype=np.int64).tolist()
    return columns
