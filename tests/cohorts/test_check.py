"""`check`: every fault of a cohort is found, all at once, and named."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from brats_writer import Orientation, write_case
from fake_cases import SHAPE, random_brain

from pathogan_core.cohorts.brats import find_cases
from pathogan_core.cohorts.check import check
from pathogan_core.cohorts.prepare_folder import prepare_folder
from pathogan_core.cohorts.splits import assign_splits
from pathogan_core.errors import PathoganError


def image_of(cohort: Path, ending: str, case: str = "HGG/Brats18_TCIA_1_1") -> Path:
    (path,) = (cohort / case).glob(f"*_{ending}.nii.gz")
    return path


def rewrite(path: Path, change) -> None:
    image = sitk.ReadImage(str(path))
    changed = sitk.GetImageFromArray(change(sitk.GetArrayFromImage(image)))
    changed.SetSpacing(image.GetSpacing()[: changed.GetDimension()])
    sitk.WriteImage(changed, str(path))


def told(report) -> list[str]:
    return [str(problem.as_error()) for problem in report.problems]


def test_a_sound_cohort_is_summarised(cohort, small_manifest):
    report = check(cohort, small_manifest)
    assert report.problems == []
    assert report.cases == {"HGG": 3, "LGG": 1}
    assert (report.patients, report.source) == (4, "real")
    assert report.layouts == {"2020": 4}
    assert report.spacings == {"20x28x24 voxels of 1x1x1 mm": 4}
    assert check(cohort, small_manifest, workers=2) == report


def truncate_gzip(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def truncate_inside_gzip(path: Path) -> None:
    """A sound gzip stream that holds too few voxels: ITK would fill them with zeros."""
    with gzip.open(path) as stream:
        whole = stream.read()
    path.write_bytes(gzip.compress(whole[: len(whole) // 2]))


def nan_voxel(array: np.ndarray) -> np.ndarray:
    array = array.astype(np.float32)
    array[5, 5, 5] = np.nan
    return array


def other_grid(path: Path, orientation: Orientation, cut: int = 0) -> None:
    sitk.WriteImage(orientation.image(random_brain(1)[0]["t1c"][cut:]), str(path))


def colour(path: Path) -> None:
    sitk.WriteImage(
        sitk.GetImageFromArray(np.ones((*SHAPE, 3), np.uint8), isVector=True), str(path)
    )


FAULTS = {
    "missing": ("t1ce", Path.unlink, "Brats18_TCIA_1_1: has no t1c file"),
    "missing segmentation": ("seg", Path.unlink, "Brats18_TCIA_1_1: has no segmentation file"),
    "truncated": ("t1ce", truncate_gzip, "_t1ce.nii.gz: is truncated or damaged"),
    "short": ("t1ce", truncate_inside_gzip, "_t1ce.nii.gz: is truncated: "),
    "last bytes": (
        "t2",
        lambda p: p.write_bytes(p.read_bytes()[:-3]),
        "_t2.nii.gz: is truncated or damaged",
    ),
    "text": ("flair", lambda p: p.write_text("hello"), "is not a readable medical image"),
    "zipped text": (
        "flair",
        lambda p: p.write_bytes(gzip.compress(b"hello" * 200)),
        "_flair.nii.gz: is not a readable medical image",
    ),
    "empty": ("flair", lambda p: p.write_bytes(b""), "_flair.nii.gz: is an empty file"),
    "2D": ("t1", lambda p: rewrite(p, lambda a: a[9]), "_t1.nii.gz: is a 2D image (24x28)"),
    "one slice": ("t1", lambda p: rewrite(p, lambda a: a[9:10]), "is a 2D image (24x28x1)"),
    "colour": ("t2", colour, "_t2.nii.gz: is a colour image"),
    "4D": (
        "t2",
        lambda p: sitk.WriteImage(sitk.JoinSeries([sitk.ReadImage(str(p))] * 2), str(p)),
        "_t2.nii.gz: has the shape 24x28x20x2",
    ),
    "shape": (
        "t1ce",
        lambda p: other_grid(p, Orientation(), cut=1),
        "_t1ce.nii.gz: has shape 24x28x19 instead of 24x28x20",
    ),
    "spacing": (
        "t1ce",
        lambda p: other_grid(p, Orientation(spacing=(1, 1, 1.5))),
        "_t1ce.nii.gz: has spacing (1, 1, 1.5) instead of (1, 1, 1)",
    ),
    "origin": (
        "t1ce",
        lambda p: other_grid(p, Orientation(origin=(0, 0, 7))),
        "_t1ce.nii.gz: has origin (0, 0, 7) instead of (0, 0, 0)",
    ),
    "direction": (
        "t1ce",
        lambda p: other_grid(p, Orientation(signs=(-1, 1, 1))),
        "_t1ce.nii.gz: has direction",
    ),
    "NaN": ("t2", lambda p: rewrite(p, nan_voxel), "_t2.nii.gz: has 1 voxel that is no finite"),
    "zero": ("t2", lambda p: rewrite(p, lambda a: a * 0), "is constant: every t2 voxel is 0"),
    "constant": (
        "t2",
        lambda p: rewrite(p, lambda a: (a > 0).astype(np.int16) * 7),
        "_t2.nii.gz: is constant: every t2 voxel is 0 or 7",
    ),
    "label": (
        "seg",
        lambda p: rewrite(p, lambda a: np.where(a == 4, 3, a)),
        "_seg.nii.gz: has the label values 3, which BraTS 2017 to 2021",
    ),
    "copied": (
        "t1ce",
        lambda p: shutil.copy(str(p).replace("t1ce", "t1"), p),
        "Brats18_TCIA_1_1: has the same voxels as t1 and t1c",
    ),
    "two": (
        "t1ce",
        lambda p: shutil.copy(p, p.with_name("again_t1ce.nii.gz")),
        "is a second file for the same sequence",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_alone_and_stops_preparation(tmp_path, cohort, small_manifest, fault):
    ending, make, words = FAULTS[fault]
    make(image_of(cohort, ending))
    (line,) = told(check(cohort, small_manifest))
    assert words in line
    assert "\n" not in line
    assert ";" in line  # a remedy
    if fault == "copied":
        return  # readable: a question for `check` alone
    with pytest.raises(PathoganError) as caught:
        prepare_folder("brats2016", cohort, tmp_path / "out")
    assert words in str(caught.value)


def test_all_faults_are_listed_at_once(cohort, small_manifest):
    image_of(cohort, "t1ce").unlink()
    truncate_gzip(image_of(cohort, "flair"))
    rewrite(image_of(cohort, "t2", "LGG/Brats18_TCIA_3_1"), nan_voxel)
    (cohort / "HGG" / "Brats18_TCIA_9_1").mkdir()
    lines = told(check(cohort, small_manifest))
    for words in ("has no t1c file", "is truncated", "no finite", "holds no file of a known"):
        assert sum(words in line for line in lines) == 1
    assert len(lines) == 4


def test_non_finite_voxels_are_found_in_every_form(tmp_path, small_manifest):
    """ITK reads NaN voxels of a NIfTI file as 0 and says nothing."""
    volumes, labels = random_brain(0)
    labels[labels == 3] = 0
    images = {name: volume.astype(np.float32) for name, volume in volumes.items()}
    images["flair"] = images["flair"].astype(np.float64)
    images["t1"][0, 0, 0] = np.inf
    images["t2"].flat[-1] = -np.inf
    images["flair"][1:3, 7, 7] = np.nan
    for layout, name in [("2016", "brats_tcia_pat101_0001"), ("2020", "BraTS20_Training_001")]:
        write_case(tmp_path / layout, layout, name, "HGG", images, labels)
        lines = told(check(tmp_path / layout, small_manifest))
        found = [line.split(": has ")[1].split()[0] for line in lines]
        assert found == ["1", "1", "2"]


def test_truncated_metaimages_are_found(tmp_path, small_manifest):
    volumes, labels = random_brain(0)
    for compressed in (True, False):
        root = tmp_path / str(compressed)
        files = write_case(root, "2016", "brats_tcia_pat101_0001", "HGG", volumes, labels)
        sitk.WriteImage(Orientation().image(volumes["t1"]), str(files["t1"]), compressed)
        assert check(root, small_manifest).problems == []
        truncate_gzip(files["t1"])
        files["t2"].write_text("hello")
        lines = told(check(root, small_manifest))
        assert len(lines) == 2
        assert "MR_T1.5000.mha: is truncated: " in lines[0]
        assert "MR_T2.5002.mha: is not a readable medical image" in lines[1]


def test_no_folder_an_empty_folder_and_a_file(tmp_path, small_manifest):
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "hollow" / "HGG").mkdir(parents=True)
    for name, words in [
        ("none", "does not exist"),
        ("file", "is not a folder"),
        ("empty", "holds no scan"),
        ("hollow", "holds no scan"),
    ]:
        (line,) = told(check(tmp_path / name, small_manifest))
        assert line.startswith(f"{tmp_path / name}: {words}")
        with pytest.raises(PathoganError, match=words):
            find_cases(tmp_path / name)
        with pytest.raises(PathoganError, match=words):
            prepare_folder("brats2016", tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_half_simulated_cohort_is_a_problem(cohort, small_manifest):
    (cohort / "simulating.json").write_text("{}")
    (line,) = told(check(cohort, small_manifest))
    assert "half-simulated" in line


def test_another_grid_than_the_releases_is_a_problem(tmp_path, small_manifest):
    volumes, labels = random_brain(0, (21, 28, 24))
    labels[labels == 3] = 0
    write_case(tmp_path / "all", "2020", "BraTS20_Training_001", "HGG", volumes, labels)
    (line,) = told(check(tmp_path / "all", small_manifest))
    assert "has 21x28x24 voxels of 1x1x1 mm (z, y, x) instead of 20x28x24" in line
    with pytest.raises(PathoganError, match="t1 is 21x28x24"):
        prepare_folder("brats2016", tmp_path / "all", tmp_path / "out")


def people_on_both_sides(manifest) -> tuple[str, str]:
    """Two of the fixture's three high-grade patients that the draw puts into different splits."""
    parameters = manifest.parameters()
    names = [f"Brats18_TCIA_{i}" for i in range(3)]
    splits = assign_splits(names, parameters.split, parameters.split_seed)
    first = next(name for name in names if splits[name] == "train")
    return first, next(name for name in names if splits[name] == "test")


def test_the_same_voxels_under_two_names_are_one_patient_in_two_splits(cohort, small_manifest):
    train, test = people_on_both_sides(small_manifest)
    source, target = cohort / "HGG" / f"{train}_1", cohort / "HGG" / f"{test}_1"
    shutil.rmtree(target)
    target.mkdir()
    for path in source.iterdir():
        shutil.copy(path, target / path.name.replace(train, test))
    (line,) = told(check(cohort, small_manifest))
    assert "a duplicate patient" in line
    assert "the same patient in two splits" in line
    assert train in line
    assert test in line


def test_the_same_scan_name_twice_is_a_problem(cohort, small_manifest, tmp_path):
    volumes, labels = random_brain(50)
    labels[labels == 3] = 0
    write_case(cohort / "more", "2020", "Brats18_TCIA_1_1", "HGG", volumes, labels)
    (line,) = told(check(cohort, small_manifest))
    assert "is the scan Brats18_TCIA_1_1 again" in line
    with pytest.raises(PathoganError, match="two scans have this name"):
        prepare_folder("brats2016", cohort, tmp_path / "out")


def test_a_list_that_puts_one_patient_into_two_splits(cohort, small_manifest, tmp_path):
    volumes, labels = random_brain(60)
    labels[labels == 3] = 0
    write_case(cohort, "2020", "Brats18_TCIA_1_2", "HGG", volumes, labels)
    given = [("Brats18_TCIA_0", "train"), ("Brats18_TCIA_2", "test")]
    sound = [*given, ("Brats18_TCIA_1", "validation")]
    assert check(cohort, small_manifest, splits=sound).problems == []
    bad = [*given, ("Brats18_TCIA_1_1", "train"), ("Brats18_TCIA_1_2", "test")]
    (line,) = told(check(cohort, small_manifest, splits=bad))
    assert line.startswith("Brats18_TCIA_1: is one patient in two splits: test and train")
    path = tmp_path / "splits.csv"
    path.write_text("patient,split\n" + "".join(f"{a},{b}\n" for a, b in bad))
    with pytest.raises(PathoganError, match="one patient in two splits"):
        prepare_folder("brats2016", cohort, tmp_path / "out", splits=path)
    path.write_text("patient,split\n" + "".join(f"{a},{b}\n" for a, b in sound))
    prepared = prepare_folder("brats2016", cohort, tmp_path / "out", splits=path)
    assert prepared.info["scans"] == 4
    assert set(prepared.patients_of("t1", "validation")) == {"Brats18_TCIA_1"}
    assert len(prepared.images("t1", 16, "validation")) == 12


def test_real_cohorts_have_a_fingerprint_of_their_bytes(cohort, tmp_path, small_home):
    one = prepare_folder("brats2016", cohort, tmp_path / "one")
    shutil.copytree(cohort, tmp_path / "moved")
    two = prepare_folder("brats2016", tmp_path / "moved", tmp_path / "two")
    assert one.info == two.info
    assert one.source == "real"
    rewrite(image_of(tmp_path / "moved", "t2"), lambda a: a + (a > 0).astype(a.dtype))
    three = prepare_folder("brats2016", tmp_path / "moved", tmp_path / "three")
    assert three.fingerprint != one.fingerprint
    with pytest.raises(PathoganError, match="other scans"):
        prepare_folder("brats2016", tmp_path / "moved", tmp_path / "two")
