"""Any T1c with a mask of its lesions: what the cohort with metastases may look like on disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from brats_writer import STRAIGHT, Orientation, write_case
from fake_cases import random_brain, random_lesions

from pathogan_core.cohorts.brats import find_cases
from pathogan_core.cohorts.brats_layouts import GLIOMAS
from pathogan_core.cohorts.cases import TISSUES
from pathogan_core.cohorts.check import check
from pathogan_core.cohorts.prepare_folder import prepare_folder
from pathogan_core.errors import PathoganError

COHORT = "brain_metastases"
# Written down independently of `brats_layouts`.
LABELLED = {"necrosis": 1, "oedema": 2, "enhancing": 3, "non_enhancing": 5}


def write(path: Path, array: np.ndarray, orientation: Orientation = STRAIGHT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(orientation.image(array), str(path))
    return path


def labels_of(seed: int) -> np.ndarray:
    """int16 labels of the layout `labelled`, 0 to 5 without 4."""
    masks = random_lesions(seed)
    return sum(number * masks[tissue].astype(np.int16) for tissue, number in LABELLED.items())


def write_scan(
    root: Path,
    seed: int,
    patient: str,
    scan: str | None = None,
    group: str = "metastases",
    mask: str | None = "seg",
    orientation: Orientation = STRAIGHT,
) -> Path:
    """One scan with labels (`seg`), a binary mask (`lesion`) or none; returns its T1c."""
    stem = root / group / patient / (scan or patient)
    t1c = write(Path(f"{stem}-t1c.nii.gz"), random_brain(seed)[0]["t1c"], orientation)
    if mask is not None:
        labels = labels_of(seed)
        marked = labels if mask == "seg" else (labels == 3).astype(np.uint8)
        write(Path(f"{stem}-{mask}.nii.gz"), marked, orientation)
    return t1c


def told(report) -> list[str]:
    return [str(problem.as_error()) for problem in report.problems]


@pytest.fixture
def mixed(tmp_path) -> Path:
    """Labels, a binary mask, and a normal subject without either."""
    root = tmp_path / "mixed"
    write_scan(root, 0, "A1")
    write_scan(root, 1, "B2", mask="lesion")
    write_scan(root, 2, "C3", group="normal", mask=None)
    return root


def test_labels_masks_and_normal_subjects_are_read_together(mixed, metastases_manifest):
    report = check(mixed, metastases_manifest)
    assert (report.problems, report.source) == ([], "real")
    assert report.cases == {"metastases": 2, "normal": 1}
    assert report.layouts == {"labelled": 2, "binary": 1}
    labelled, binary, normal = (
        case.load() for case in find_cases(mixed, metastases_manifest.contents)
    )
    for tissue, number in LABELLED.items():
        np.testing.assert_array_equal(labelled.tissues[tissue], labels_of(0) == number)
    lesion = labels_of(1) == 3
    assert lesion.any()
    np.testing.assert_array_equal(binary.tissues["enhancing"], lesion)
    for tissue in set(TISSUES) - {"enhancing"}:
        assert not binary.tissues[tissue].any()
    for tissue in TISSUES:
        assert normal.tissues[tissue].dtype == bool
        assert not normal.tissues[tissue].any()
    for seed, loaded in enumerate((labelled, binary, normal)):
        assert list(loaded.volumes) == ["t1c"]
        np.testing.assert_array_equal(loaded.volumes["t1c"], random_brain(seed)[0]["t1c"])


def test_every_orientation_is_turned_to_lps(tmp_path, metastases_manifest):
    orientation = Orientation(order=(1, 2, 0), signs=(-1, 1, -1))
    write_scan(tmp_path, 0, "A1", orientation=orientation)
    (case,) = find_cases(tmp_path, metastases_manifest.contents)
    loaded = case.load()
    np.testing.assert_array_equal(loaded.volumes["t1c"], random_brain(0)[0]["t1c"])
    np.testing.assert_array_equal(loaded.tissues["oedema"], labels_of(0) == 2)


def test_several_scans_in_a_patients_folder_are_one_patient(tmp_path, metastases_manifest):
    root = tmp_path / "cohort"
    for seed, scan in enumerate(("A1a", "A1b")):
        write_scan(root, seed, "A1", scan)
    write_scan(root, 2, "B2")
    cases = find_cases(root, metastases_manifest.contents)
    assert [(case.scan, case.patient) for case in cases] == [
        *(("A1a", "A1"), ("A1b", "A1"), ("B2", "B2")),
    ]
    report = check(root, metastases_manifest)
    assert (report.problems, report.patients) == ([], 2)


def write_challenge(root: Path, name: str, seed: int) -> dict[str, Path]:
    """A scan as in BraTS-METS 2023: four sequences, labels 1 to 3, no folder of a group."""
    volumes = random_brain(seed)[0]
    labels = labels_of(seed)
    labels[labels == 5] = 1
    return write_case(root, "2023", name, "", volumes, labels)


def test_brats_mets_is_read_as_it_comes(tmp_path, metastases_manifest):
    root = tmp_path / "cohort"
    for seed, name in enumerate(("00002-000", "00002-001", "00005-000")):
        files = write_challenge(root, f"BraTS-MET-{name}", seed)
        files["t2"].write_text("only T1c is read")
    report = check(root, metastases_manifest)
    assert (report.problems, report.layouts) == ([], {"2023": 3})
    assert (report.cases, report.patients) == ({"metastases": 3}, 2)
    cases = find_cases(root, metastases_manifest.contents)
    assert [case.patient for case in cases] == [
        *("BraTS-MET-00002", "BraTS-MET-00002", "BraTS-MET-00005"),
    ]
    loaded = cases[2].load()
    assert list(loaded.volumes) == ["t1c"]
    np.testing.assert_array_equal(loaded.tissues["necrosis"], np.isin(labels_of(2), (1, 5)))
    np.testing.assert_array_equal(loaded.tissues["enhancing"], labels_of(2) == 3)
    assert not loaded.tissues["non_enhancing"].any()
    prepared = prepare_folder(COHORT, root, tmp_path / "out")
    assert prepared.info["scans"] == 3
    assert prepared.table.groupby("patient")["split"].nunique().eq(1).all()


def test_a_plain_layout_is_none_of_the_glioma_cohorts(mixed, small_manifest):
    """There, the grade and four sequences are needed, and a lesion mask is no known file."""
    assert {case.layout for case in find_cases(mixed, GLIOMAS)} == {"2023"}
    lines = told(check(mixed, small_manifest))
    assert sum("has no flair file" in line for line in lines) == 3
    assert sum("B2: has no segmentation file" in line for line in lines) == 1


def constant(path: Path) -> None:
    sitk.WriteImage(sitk.ReadImage(str(path)) * 0 + 7, str(path))


def add(change):
    """A fault that changes the voxels of a file."""

    def fault(path: Path) -> None:
        array = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        change(array)
        sitk.WriteImage(STRAIGHT.image(array), str(path))

    return fault


def number(value: int):
    return add(lambda array: array.__setitem__((9, 9, 9), value))


A, B, C = "metastases/A1/A1", "metastases/B2/B2", "normal/C3/C3"
FAULTS = {
    "no mask": (A, "seg", Path.unlink, "metastases/A1: has no segmentation file; add the missing"),
    "no image": (B, "t1c", Path.unlink, "metastases/B2: has no t1c file; add the missing"),
    "a cavity": (A, "seg", number(4), "A1-seg.nii.gz: has the label values 4, which T1c and its l"),
    "two values": (B, "lesion", number(2), "B2-lesion.nii.gz: has the label values 2, which T1c a"),
    "a grey mask": (B, "lesion", number(255), "has the label values 255"),
    "two masks": (
        *(A, "seg", lambda path: write(path.with_name("A1-lesion.nii.gz"), labels_of(0) // 3 % 2)),
        "A1-seg.nii.gz: is a second file for the same sequence; remove one of them",
    ),
    "other grid": (
        *(B, "lesion", lambda path: write(path, np.ones((20, 28, 23), np.uint8))),
        "B2-lesion.nii.gz: has ",
    ),
    "flat": (C, "t1c", constant, "C3-t1c.nii.gz: is constant: every t1c voxel is 0 or 7"),
    "a patient among the normal": (
        *(C, "t1c", lambda path: write(path.with_name("C3-lesion.nii.gz"), labels_of(0) // 3 % 2)),
        "C3-lesion.nii.gz: marks ",
    ),
    "text": (C, "t1c", lambda path: path.write_text("hello"), "is not a readable medical image"),
    "no group": (
        *(A, "t1c", lambda path: shutil.move(path.parent, path.parents[2])),
        "A1/A1: is in no folder metastases or normal; move its patient's folder there",
    ),
    "foreign name": (
        *(A, "t1c", lambda path: path.parent.rename(path.parent.with_name("X"))),
        "X/A1: has a name that does not begin with its folder's; call the folder by its patient",
    ),
    "strays": (
        *(A, "t1c", lambda path: write(path.parents[1] / "D4/t1c.nii.gz", np.ones((2, 2, 2)))),
        "D4: holds no file of a known layout",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_alone_and_stops_preparation(
    tmp_path, mixed, metastases_manifest, fault
):
    stem, ending, make, words = FAULTS[fault]
    make(mixed / f"{stem}-{ending}.nii.gz")
    lines = told(check(mixed, metastases_manifest))
    assert [words in line for line in lines] == [True]
    assert "\n" not in lines[0]
    with pytest.raises(PathoganError) as caught:
        prepare_folder(COHORT, mixed, tmp_path / "out")
    assert words in str(caught.value)


def test_an_empty_mask_of_a_normal_subject_is_no_fault(mixed, metastases_manifest):
    write(mixed / f"{C}-seg.nii.gz", np.zeros((20, 28, 24), np.int16))
    assert check(mixed, metastases_manifest).problems == []


def test_a_group_or_scan_that_occurs_twice_is_found(mixed, metastases_manifest):
    write_scan(mixed / "more", 5, "A1")
    (line,) = told(check(mixed, metastases_manifest))
    assert "is the scan A1 again" in line
    shutil.rmtree(mixed / "more")
    write_scan(mixed, 0, "D4")
    (line,) = told(check(mixed, metastases_manifest))
    assert "D4: has the same t1c voxels as" in line


def test_volumes_of_another_grid_are_a_problem(tmp_path, metastases_manifest):
    root = tmp_path / "cohort"
    write_scan(root, 0, "A1", orientation=Orientation(spacing=(0.9, 0.9, 1.5)))
    (line,) = told(check(root, metastases_manifest))
    assert "20x28x24 voxels of 1.5x0.9x0.9 mm (z, y, x) instead of" in line
