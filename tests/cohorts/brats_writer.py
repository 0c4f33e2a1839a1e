"""Writes scans in every layout and orientation, independently of the reader's own orienting."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk


@dataclass(frozen=True)
class Orientation:
    """File axis i runs along (or against) world axis `order[i]`: 0 left, 1 posterior, 2 superior.

    Spacing is in mm along world x, y, z.
    """

    order: tuple[int, int, int] = (0, 1, 2)
    signs: tuple[int, int, int] = (1, 1, 1)
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def image(self, lps: np.ndarray) -> sitk.Image:
        """The image whose LPS form is `lps` `[z, y, x]`."""
        ijk = lps.transpose(2, 1, 0).transpose(self.order)
        ijk = ijk[tuple(slice(None, None, sign) for sign in self.signs)]
        image = sitk.GetImageFromArray(np.ascontiguousarray(ijk.transpose(2, 1, 0)))
        direction = np.zeros((3, 3))
        for axis, (world, sign) in enumerate(zip(self.order, self.signs, strict=True)):
            direction[world, axis] = sign
        image.SetDirection(direction.ravel().tolist())
        image.SetSpacing([self.spacing[world] for world in self.order])
        image.SetOrigin(self.origin)
        return image


STRAIGHT = Orientation()
_ENDS = {
    "2020": {"t1": "_t1", "t1c": "_t1ce", "t2": "_t2", "flair": "_flair", "seg": "_seg"},
    "2023": {"t1": "-t1n", "t1c": "-t1c", "t2": "-t2w", "flair": "-t2f", "seg": "-seg"},
}
_VSD = {
    "t1": "VSD.Brain.XX.O.MR_T1",
    "t1c": "VSD.Brain.XX.O.MR_T1c",
    "t2": "VSD.Brain.XX.O.MR_T2",
    "flair": "VSD.Brain.XX.O.MR_Flair",
    "seg": "VSD.Brain_3more.XX.O.OT",
}


def write_case(
    root: Path,
    layout: str,
    name: str,
    grade: str,
    volumes: Mapping[str, np.ndarray],
    labels: np.ndarray,
    orientation: Orientation = STRAIGHT,
) -> dict[str, Path]:
    """Write one scan; returns its files by sequence or `seg` (or `image`). No grade, no folder."""
    if layout == "decathlon":
        return _write_decathlon(root, name, volumes, labels, orientation)
    files = {}
    for number, (key, array) in enumerate({**volumes, "seg": labels}.items()):
        case = root / grade / name
        if layout == "2016":
            stem = f"{_VSD[key]}.{5000 + number}"
            files[key] = case / stem / f"{stem}.mha"
        else:
            files[key] = case / f"{name}{_ENDS[layout][key]}.nii.gz"
        files[key].parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(orientation.image(array), str(files[key]), layout == "2016")
    return files


def _write_decathlon(
    root: Path,
    name: str,
    volumes: Mapping[str, np.ndarray],
    labels: np.ndarray,
    orientation: Orientation,
) -> dict[str, Path]:
    order = ("flair", "t1", "t1c", "t2")
    image = sitk.JoinSeries([orientation.image(volumes[key]) for key in order])
    files = {"image": root / f"imagesTr/{name}.nii.gz", "seg": root / f"labelsTr/{name}.nii.gz"}
    for path in files.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(files["image"]))
    sitk.WriteImage(orientation.image(labels), str(files["seg"]))
    # The published archive holds resource forks that look like images.
    (root / f"imagesTr/._{name}.nii.gz").write_bytes(b"\0" * 16)
    named = {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}
    (root / "dataset.json").write_text(json.dumps({"modality": named}))
    return files
