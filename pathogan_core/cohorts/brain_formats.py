"""The folder layouts, label numbers and file formats of the public BRATS releases, for writing.

MetaImage (`.mha`) and NIfTI-1 (`.nii.gz`) are simple enough to be written here in full, which keeps
the simulators free of imaging libraries and lets a full disk be noticed at the byte where it fills.
Both writers place voxel [0, 0, 0] as BRATS does: 1 mm, axes to left, posterior and superior.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from pathogan_core.files import atomic_write

Layout = Literal["2016", "2020", "2023"]

LABELS: dict[Layout, dict[str, int]] = {
    "2016": {"necrosis": 1, "oedema": 2, "non_enhancing": 3, "enhancing": 4},
    "2020": {"necrosis": 1, "oedema": 2, "non_enhancing": 1, "enhancing": 4},
    "2023": {"necrosis": 1, "oedema": 2, "non_enhancing": 1, "enhancing": 3},
}
"""Number of each tissue by release; 0 is everything else."""

SEGMENTATION = "segmentation"


def label_volume(tissues: Mapping[str, np.ndarray], numbers: Mapping[str, int]) -> np.ndarray:
    """Named masks as one int16 label volume; `LABELS` has the numbers of the releases."""
    volume = np.zeros(next(iter(tissues.values())).shape, np.int16)
    for name, number in numbers.items():
        volume[tissues[name]] = number
    return volume


@dataclass(frozen=True)
class CasePaths:
    """Files of one case, relative to the cohort's root, by sequence or `segmentation`."""

    name: str
    files: dict[str, Path]


def case_paths(layout: Layout, index: int, grade: str) -> CasePaths:
    """Where the files of patient `index` (from 0) lie in a layout."""
    return _LAYOUTS[layout](index, grade)


def _paths_2016(index: int, grade: str) -> CasePaths:
    name = f"brats_simulated_pat{index + 1:03d}_1"
    kinds = {
        "flair": "VSD.Brain.XX.O.MR_Flair",
        "t1": "VSD.Brain.XX.O.MR_T1",
        "t1c": "VSD.Brain.XX.O.MR_T1c",
        "t2": "VSD.Brain.XX.O.MR_T2",
        SEGMENTATION: "VSD.Brain_3more.XX.O.OT",
    }
    files = {}
    for number, (key, kind) in enumerate(kinds.items()):
        stem = f"{kind}.{10000 + 10 * index + number}"
        files[key] = Path(grade, name, stem, f"{stem}.mha")
    return CasePaths(name, files)


def _paths_2020(index: int, grade: str) -> CasePaths:
    name = f"BraTS20_Training_{index + 1:03d}"
    ends = {"flair": "flair", "t1": "t1", "t1c": "t1ce", "t2": "t2", SEGMENTATION: "seg"}
    return CasePaths(name, {k: Path(name, f"{name}_{end}.nii.gz") for k, end in ends.items()})


def _paths_2023(index: int, grade: str) -> CasePaths:
    name = f"BraTS-GLI-{index + 1:05d}-000"
    ends = {"flair": "t2f", "t1": "t1n", "t1c": "t1c", "t2": "t2w", SEGMENTATION: "seg"}
    return CasePaths(name, {k: Path(name, f"{name}-{end}.nii.gz") for k, end in ends.items()})


_LAYOUTS: dict[Layout, Callable[[int, str], CasePaths]] = {
    "2016": _paths_2016,
    "2020": _paths_2020,
    "2023": _paths_2023,
}


def write_volume(path: Path, volume: np.ndarray) -> None:
    """Write an int16 volume [z, y, x] as `.mha` or `.nii.gz`, atomically and reproducibly.

    Raises:
        PathoganError: the file cannot be written.
    """
    encode = metaimage_bytes if path.suffix == ".mha" else nifti_bytes
    with atomic_write(path) as handle:
        handle.write(encode(volume))


def metaimage_bytes(volume: np.ndarray) -> bytes:
    """A compressed MetaImage file."""
    depth, height, width = volume.shape
    data = zlib.compress(np.ascontiguousarray(volume, "<i2").data, 1)
    header = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "True",
        "CompressedDataSize": str(len(data)),
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": "0 0 0",
        "CenterOfRotation": "0 0 0",
        "AnatomicalOrientation": "RAI",
        "ElementSpacing": "1 1 1",
        "DimSize": f"{width} {height} {depth}",
        "ElementType": "MET_SHORT",
        "ElementDataFile": "LOCAL",
    }
    return "".join(f"{k} = {v}\n" for k, v in header.items()).encode() + data


def nifti_bytes(volume: np.ndarray) -> bytes:
    """A gzipped single-file NIfTI-1 image; its world axes are RAS, hence the two minus signs."""
    depth, height, width = volume.shape
    last_row = float(height - 1)
    header = bytearray(352)  # 348 bytes of header, 4 bytes that say "no extensions"
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, width, height, depth, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 4, 16)  # datatype int16, bits per voxel
    struct.pack_into("<8f", header, 76, 1, 1, 1, 1, 0, 0, 0, 0)  # qfac and voxel size
    struct.pack_into("<3f", header, 108, 352, 1, 0)  # data offset, slope, intercept
    struct.pack_into("<B", header, 123, 2)  # millimetres
    struct.pack_into("<2h", header, 252, 1, 1)  # qform and sform: scanner coordinates
    struct.pack_into("<3f", header, 256, 0, 0, 1)  # quaternion: half a turn about z
    struct.pack_into("<3f", header, 268, 0, last_row, 0)
    struct.pack_into("<12f", header, 280, -1, 0, 0, 0, 0, -1, 0, last_row, 0, 0, 1, 0)
    header[344:348] = b"n+1\0"
    packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    data = np.ascontiguousarray(volume, "<i2").data
    return packer.compress(bytes(header)) + packer.compress(data) + packer.flush()
