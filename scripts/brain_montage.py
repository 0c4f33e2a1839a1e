"""Montage of simulated brain MRI, and of a real volume beside it, for looking at.

    python scripts/brain_montage.py montage.png --patients 0 1 2 --seed 1 --real volume.nii.gz
    python scripts/brain_montage.py montage.png --patients 0 1 2 --cohort metastases

One row per volume: two axial, four sagittal and two coronal slices at the same places relative to
the brain, all at 1 mm and one window (each volume's 99.5th percentile is white); of metastases and
normal subjects eight axial slices. `--size 64` shows the slices as a network of that input size
sees them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from pathogan_core.cohorts.brain_simulation import simulate_patient
from pathogan_core.cohorts.metastases_patient import simulate_metastases

TILE = 200
PLACES = (("z", 0.52), ("z", 0.72), ("x", 0.28), ("x", 0.40), ("x", 0.46), ("x", 0.52),
          ("y", 0.42), ("y", 0.66))  # fmt: skip
AXIAL = tuple(("z", share) for share in (0.22, 0.32, 0.40, 0.48, 0.56, 0.64, 0.72, 0.82))


def read_real(path: Path) -> np.ndarray:
    """A volume of any orientation and spacing as [z, y, x] in LPS at 1 mm."""
    import SimpleITK as sitk

    image = sitk.DICOMOrient(sitk.ReadImage(str(path), sitk.sitkFloat32), "LPS")
    extent = zip(image.GetSize(), image.GetSpacing(), strict=True)
    size = [round(count * spacing) for count, spacing in extent]
    image = sitk.Resample(
        image, size, sitk.Transform(), sitk.sitkLinear,
        image.GetOrigin(), (1.0, 1.0, 1.0), image.GetDirection(),
    )  # fmt: skip
    return sitk.GetArrayFromImage(image)


def tiles(
    volume: np.ndarray, places: tuple[tuple[str, float], ...], size: int | None
) -> list[np.ndarray]:
    """The slices at `places`, with superior or anterior up, centred on a square tile."""
    filled = np.argwhere(volume > 0)
    low, high = filled.min(0), filled.max(0)
    white = np.percentile(volume[volume > 0], 99.5)
    made = []
    for axis, share in places:
        number = "zyx".index(axis)
        section = np.take(volume, round(low[number] + share * (high - low)[number]), axis=number)
        if axis != "z":
            section = section[::-1]
        tile = on_tile(np.clip(section / white * 255, 0, 255).astype(np.uint8))
        if size is not None:
            picture = Image.fromarray(tile).resize((size, size), Image.Resampling.BOX)
            tile = np.asarray(picture.resize((TILE, TILE), Image.Resampling.NEAREST))
        made.append(tile)
    return made


def on_tile(section: np.ndarray) -> np.ndarray:
    """The section's content in the middle of a TILE x TILE square."""
    rows, columns = np.nonzero(section)
    section = section[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    tile = np.zeros((TILE, TILE), np.uint8)
    top, left = ((TILE - n) // 2 for n in section.shape)
    tile[top : top + section.shape[0], left : left + section.shape[1]] = section
    return tile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--patients", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cohort", default="gliomas", choices=["gliomas", "metastases", "normal"])
    parser.add_argument(
        "--sequence",
        default="t1c",
        choices=["t1", "t1c", "t2", "flair"],
        help="of gliomas; the others have t1c only",
    )
    parser.add_argument("--real", type=Path, help="a real skull-stripped volume for the first row")
    parser.add_argument("--size", type=int, help="show slices as a network of this size sees them")
    options = parser.parse_args()
    volumes = [read_real(options.real)] if options.real else []
    for index in options.patients:
        if options.cohort == "gliomas":
            volumes.append(simulate_patient(index, options.seed).volumes[options.sequence])
        else:
            volumes.append(simulate_metastases(index, options.seed, options.cohort).volume)
    places = PLACES if options.cohort == "gliomas" else AXIAL
    rows = [np.hstack(tiles(volume, places, options.size)) for volume in volumes]
    Image.fromarray(np.vstack(rows)).save(options.out)


if __name__ == "__main__":
    main()
