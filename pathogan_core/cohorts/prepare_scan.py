"""One scan's share of the prepared slices."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pathogan_core.cohorts.cases import TISSUES, Case, LoadedCase
from pathogan_core.cohorts.prepare_parameters import LESION, PreparationParameters
from pathogan_core.cohorts.rough_boxes import exact_boxes
from pathogan_core.cohorts.slices import fit_frame, normalise_intensity, resize_area
from pathogan_core.errors import PathoganError


@dataclass(frozen=True)
class PreparedScan:
    """One scan's images and their rows of the table.

    Attributes:
        images: (sequence, size) to uint8 `[slices, size, size]`; `LESION` stands beside sequences.
        columns: `brain_fraction` and `<tissue>_voxels`, one value per slice.
        content_hash: of what the scan was made of.
        boxes: exact ones of the lesions in each slice, in pixels of the frame; see
            `pathogan_core.boxes`. Empty where lesions are not kept.
    """

    images: dict[tuple[str, int], np.ndarray]
    columns: dict[str, list[float]]
    content_hash: str
    boxes: list[list[list[float]]] = field(default_factory=list)


def prepare_scan(case: Case, parameters: PreparationParameters) -> PreparedScan:
    """Load one case and cut, normalise and shrink its slices; errors name the scan."""
    try:
        loaded = case.load()
        _check_shapes(loaded, parameters.volume_shape)
        images: dict[tuple[str, int], np.ndarray] = {}
        for sequence in parameters.sequences:
            volume = _volume(sequence, loaded, parameters)
            images.update(_shrunk(sequence, _framed(volume, parameters), parameters))
        boxes: list[list[list[float]]] = []
        if parameters.lesion_tissues:
            lesion = _framed(_lesion(loaded, parameters), parameters)
            images.update(_shrunk(LESION, lesion * np.uint8(255), parameters))
            boxes = [exact_boxes(mask).tolist() for mask in lesion]
        return PreparedScan(images, _columns(loaded, parameters), case.content_hash(), boxes)
    except PathoganError as error:
        if error.where is not None:
            raise
        raise PathoganError(
            error.problem, where=case.scan, remedy="run `pathogan cohorts check` on the cohort"
        ) from error


def _framed(volume: np.ndarray, parameters: PreparationParameters) -> np.ndarray:
    slices = _cut(volume, parameters)
    return slices if parameters.frame is None else fit_frame(slices, parameters.frame)


def _shrunk(
    name: str, slices: np.ndarray, parameters: PreparationParameters
) -> dict[tuple[str, int], np.ndarray]:
    return {
        (name, size): np.rint(resize_area(slices, size)).astype(np.uint8)
        for size in parameters.sizes
    }


def _lesion(loaded: LoadedCase, parameters: PreparationParameters) -> np.ndarray:
    return np.any([loaded.tissues[tissue] for tissue in parameters.lesion_tissues], axis=0)


def _cut(volume: np.ndarray, parameters: PreparationParameters) -> np.ndarray:
    return parameters.cutting.cut(volume, parameters.first_slice, parameters.last_slice)


def _volume(sequence: str, loaded: LoadedCase, parameters: PreparationParameters) -> np.ndarray:
    if sequence not in loaded.volumes:
        raise PathoganError(f"has no {sequence}")
    try:
        return normalise_intensity(loaded.volumes[sequence], parameters.white_percentile)
    except PathoganError as error:
        raise PathoganError(f"{sequence} {error.problem}") from error


def _check_shapes(loaded: LoadedCase, expected: tuple[int, int, int]) -> None:
    for name, array in {**loaded.volumes, **loaded.tissues}.items():
        if array.shape != expected:
            found, wanted = ("x".join(map(str, shape)) for shape in (array.shape, expected))
            raise PathoganError(f"{name} is {found} (z, y, x) instead of {wanted}")


def _columns(loaded: LoadedCase, parameters: PreparationParameters) -> dict[str, list[float]]:
    """Table columns that are read off the voxels before anything is framed or shrunk."""
    brain = np.any([volume != 0 for volume in loaded.volumes.values()], axis=0)
    columns = {"brain_fraction": _cut(brain, parameters).mean(axis=(1, 2)).tolist()}
    for tissue in TISSUES:
        labelled = _cut(loaded.tissues[tissue], parameters)
        columns[f"{tissue}_voxels"] = labelled.sum(axis=(1, 2), dtype=np.int64).tolist()
    return columns
