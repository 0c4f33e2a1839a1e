"""Medical image files with their faults named: this is where SimpleITK is used."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pathogan_core.errors import PathoganError

if TYPE_CHECKING:
    import SimpleITK as sitk

DOWNLOAD_AGAIN = "download or copy it again"


@dataclass(frozen=True)
class Grid:
    """Where an image's voxels lie: counts, spacing (mm) and origin (mm) along x, y, z."""

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]

    def difference(self, other: Grid) -> str | None:
        """What sets two grids apart, in words; None if they agree to a hundredth of a voxel."""
        if self.size != other.size:
            return f"shape {_times(self.size)} instead of {_times(other.size)} (x, y, z)"
        for name in ("spacing", "origin", "direction"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if not np.allclose(mine, theirs, rtol=0, atol=0.01):
                return f"{name} {_listed(mine)} instead of {_listed(theirs)}"
        return None


def grid_of(image: sitk.Image) -> Grid:
    """The grid of a SimpleITK image."""
    return Grid(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())


def read_image(path: Path, channels: int | None = None) -> sitk.Image:
    """Read a scalar volume.

    Args:
        path: `.nii`, `.nii.gz` or `.mha`.
        channels: length of a fourth axis; None for an ordinary 3D volume.

    Raises:
        PathoganError: for a missing, truncated, 2D or multi-component file, or no image at all.
    """
    _refuse_damage(path)
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise _not_an_image(path) from error
    size = [count for count in image.GetSize() if count > 1]
    wanted = 3 if channels is None else 4
    if len(size) < wanted or image.GetNumberOfComponentsPerPixel() != 1:
        kind = "a colour image" if len(size) >= wanted else f"a {len(size)}D image"
        raise PathoganError(
            f"is {kind} ({_times(image.GetSize())}), not a {wanted}D volume",
            where=path,
            remedy="replace it by the release's volume",
        )
    if len(size) > wanted or (channels and image.GetSize()[3] != channels):
        raise PathoganError(
            f"has the shape {_times(image.GetSize())}, not {wanted} axes"
            + (f" with {channels} channels" if channels else ""),
            where=path,
            remedy="replace it by the release's volume",
        )
    return image if channels or image.GetDimension() == 3 else channel(image, 0)


def channel(image: sitk.Image, index: int) -> sitk.Image:
    """One 3D volume of a 4D image."""
    import SimpleITK as sitk

    return sitk.Extract(image, [*image.GetSize()[:3], 0], [0, 0, 0, index])


def to_lps(image: sitk.Image) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Voxels `[z, y, x]` and spacing (mm, same order) turned to left, posterior, superior.

    Axes are swapped and flipped, never resampled: an oblique scan goes to its nearest axes.
    """
    import SimpleITK as sitk

    turned = sitk.DICOMOrient(image, "LPS")
    x, y, z = turned.GetSpacing()
    return sitk.GetArrayFromImage(turned), (z, y, x)


def _refuse_damage(path: Path) -> None:
    """Look at a file's bytes for the damage that ITK hides.

    It fills what is missing of a NIfTI file with zeros, turns NaN voxels of one into zeros, does
    not look at a gzip trailer, and prints MetaImage errors on the terminal.
    """
    try:
        if path.stat().st_size == 0:
            raise PathoganError("is an empty file", where=path, remedy=DOWNLOAD_AGAIN)
        if path.name.endswith(".gz"):
            with gzip.open(path) as stream:
                _examine_nifti(path, stream)
        elif path.suffix == ".nii":
            with path.open("rb") as stream:
                _examine_nifti(path, stream)
        else:
            _examine_metaimage(path)
    except (EOFError, zlib.error) as error:
        raise PathoganError("is truncated or damaged", where=path, remedy=DOWNLOAD_AGAIN) from error
    except (gzip.BadGzipFile, struct.error, ValueError, KeyError) as error:
        raise _not_an_image(path) from error
    except OSError as error:
        raise PathoganError(
            f"cannot be read ({error.strerror or error})", where=path, remedy="check the path"
        ) from error


def _examine_nifti(path: Path, stream: Any) -> None:
    """Read a NIfTI-1 stream to its end; refuse missing bytes and voxels that are not finite."""
    header = stream.read(348)
    if len(header) < 348:
        raise ValueError("shorter than a NIfTI header")
    order = "<" if struct.unpack_from("<i", header)[0] == 348 else ">"
    if struct.unpack_from(f"{order}i", header)[0] != 348:
        raise ValueError("no NIfTI header")
    axes, *counts = struct.unpack_from(f"{order}8h", header, 40)
    if not 1 <= axes <= 7:
        raise ValueError("no NIfTI header")
    kind, bits = struct.unpack_from(f"{order}2h", header, 70)
    offset = int(struct.unpack_from(f"{order}f", header, 108)[0])
    promised = math.prod(counts[:axes]) * bits // 8
    held = len(header) + len(stream.read(max(offset - len(header), 0)))
    bad = 0
    while promised and (part := stream.read(min(promised, _BLOCK))):
        held, promised = held + len(part), promised - len(part)
        if kind in _NIFTI_FLOATS:
            whole = len(part) - len(part) % (bits // 8)
            voxels = np.frombuffer(part[:whole], f"{order}{_NIFTI_FLOATS[kind]}")
            bad += int(np.count_nonzero(~np.isfinite(voxels)))
    _refuse_missing(path, held, held + promised)
    stream.read(1)  # a gzip stream compares its check sum at its end
    if bad:
        raise non_finite(path, bad)


_BLOCK = 1 << 22  # a multiple of every voxel size
_NIFTI_FLOATS = {16: "f4", 64: "f8"}


def _refuse_missing(path: Path, held: int, promised: int) -> None:
    if held < promised:
        raise PathoganError(
            f"is truncated: {held} bytes of {promised}", where=path, remedy=DOWNLOAD_AGAIN
        )


def non_finite(path: Path, count: int) -> PathoganError:
    """The error for NaN or infinite voxels."""
    voxels = (
        "1 voxel that is no finite number"
        if count == 1
        else (f"{count} voxels that are not finite numbers")
    )
    return PathoganError(f"has {voxels}", where=path, remedy=DOWNLOAD_AGAIN)


_METAIMAGE_BYTES = {
    "CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4,
    "FLOAT": 4, "LONG": 4, "ULONG": 4, "LONG_LONG": 8, "ULONG_LONG": 8, "DOUBLE": 8,
}  # fmt: skip


def _examine_metaimage(path: Path) -> None:
    """Refuse a MetaImage file that is shorter than its header promises."""
    fields: dict[str, str] = {}
    with path.open("rb") as stream:
        while "ElementDataFile" not in fields:
            line = stream.readline(4096)
            if b"=" not in line:
                raise ValueError("no MetaImage header")
            key, value = line.decode("ascii").split("=", 1)
            fields[key.strip()] = value.strip()
        begin = stream.tell()
    if fields["ElementDataFile"] != "LOCAL":
        return  # the voxels lie in another file
    if fields.get("CompressedData", "False").lower() == "true":
        promised = int(fields.get("CompressedDataSize", 0))
    else:
        voxel = _METAIMAGE_BYTES[fields["ElementType"].removeprefix("MET_")]
        voxel *= int(fields.get("ElementNumberOfChannels", 1))
        promised = math.prod(int(count) for count in fields["DimSize"].split()) * voxel
    _refuse_missing(path, path.stat().st_size, begin + promised)


def _not_an_image(path: Path) -> PathoganError:
    return PathoganError(
        "is not a readable medical image", where=path, remedy="replace it by the release's file"
    )


def _times(counts: tuple[int, ...]) -> str:
    return "x".join(map(str, counts))


def _listed(values: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"
