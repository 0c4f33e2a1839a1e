"""`pathogan cohorts` for the cohort with metastases, as a user meets it."""

from __future__ import annotations

import json

import pytest
from test_cohorts_cli import complaint

from pathogan_core.cohorts.prepared import PreparedSlices
from pathogan_core.cohorts.prepared_lesions import exact_boxes

COHORT = "brain_metastases"


@pytest.fixture
def simulated(pathogan, metastases_home, quick_metastases, tmp_path):
    """A cohort of three patients and two normal subjects, written by the command."""
    out = tmp_path / "cohort"
    status, told, _ = pathogan(
        *("cohorts", "simulate", COHORT, "--out", out, "--patients", 3, "--normals", 2),
        *("--seed", 4, "--workers", 1),
    )
    assert status == 0
    words = "3 simulated patients and 2 normal subjects, layout labelled, seed 4"
    assert told.strip() == f"{out}: {words}"
    return out


def test_simulate_and_check(pathogan, simulated):
    assert len(list(simulated.glob("metastases/*/*-seg.nii.gz"))) == 3
    status, out, err = pathogan("cohorts", "check", COHORT, "--root", simulated)
    assert status == 0
    assert "5/5" in err
    for words in ("simulated", "3 metastases of 180, 2 normal of 193 (5 patients)", "labelled (5)"):
        assert words in out
    next(simulated.glob("metastases/*/*-seg.nii.gz")).unlink()
    status, out, err = pathogan("cohorts", "check", COHORT, "--root", simulated, "--json")
    assert status == 1
    (problem,) = json.loads(out)["problems"]
    assert problem["problem"] == "has no segmentation file"


def test_simulate_goes_on_where_it_stopped(pathogan, simulated, quick_metastases):
    assert len(quick_metastases) == 5
    again = ["cohorts", "simulate", COHORT, "--out", simulated, "--patients", 3, "--seed", 4]
    assert pathogan(*again, "--normals", 2, "--workers", 1)[0] == 0
    assert len(quick_metastases) == 5
    status, _, err = pathogan(*again, "--workers", 1)
    assert status == 1
    assert "holds a cohort made with another recipe (normals 2, not 0)" in complaint(err)


def test_prepare_from_files_equals_prepare_simulated(pathogan, simulated, tmp_path):
    command = ["cohorts", "prepare", COHORT]
    status, out, _ = pathogan(*command, "--root", simulated, "--out", tmp_path / "read")
    assert status == 0
    assert "30 images a sequence from 5 simulated scans" in out
    assert "(1 test, 3 train, 1 validation patients), sizes 16, 8" in out
    status, _, _ = pathogan(
        *(*command, "--simulate", 3, "--normals", 2, "--seed", 4, "--out", tmp_path / "direct")
    )
    assert status == 0
    read, direct = (PreparedSlices.open(tmp_path / name) for name in ("read", "direct"))
    assert read.info == direct.info
    assert sum(map(len, exact_boxes(read, 16))) > 0
    normal = direct.table[direct.table["grade"] == "normal"]
    assert set(normal["split"]) == {"train"}


def test_prepare_of_one_group_and_by_a_list(pathogan, simulated, tmp_path):
    path = tmp_path / "splits.csv"
    path.write_text("patient,split\n" + "".join(f"metastases_00{n},test\n" for n in (1, 2, 3)))
    command = ["cohorts", "prepare", COHORT, "--root", simulated]
    status, out, _ = pathogan(*command, "--splits", path, "--out", tmp_path / "listed")
    assert status == 0
    assert "(3 test, 2 train patients)" in out
    options = ("--grades", "metastases", "--sizes", "12", "--frame", 24)
    assert pathogan(*command, *options, "--out", tmp_path / "ill")[0] == 0
    ill = PreparedSlices.open(tmp_path / "ill")
    assert (set(ill.table["grade"]), ill.sizes) == ({"metastases"}, (12,))
    path.write_text(path.read_text() + "normal_001,test\n")
    status, _, err = pathogan(*command, "--splits", path, "--out", tmp_path / "bad")
    assert status == 1
    assert "normal_001: is for training only, but is listed for test" in complaint(err)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["simulate", COHORT, "--out", "x", "--layout", "2023"], "choose one of labelled"),
        (["simulate", COHORT, "--out", "x", "--patients", "0"], "patients: 0 is not a whole"),
        (["simulate", COHORT, "--out", "x", "--normals", "-1"], "normals: -1 is not a whole"),
        (["simulate", COHORT, "--out", "x", "--seed", "-1"], "seed: -1 is not a whole"),
        (["prepare", COHORT, "--out", "x", "--simulate", "0"], "patients: 0 is not a whole"),
        (
            ["prepare", COHORT, "--out", "x", "--simulate", "1", "--normals", "-2"],
            "normals: -2 is not a whole",
        ),
        (
            ["prepare", COHORT, "--out", "x", "--root", ".", "--normals", "1"],
            "--normals: has no effect with --root; leave it out",
        ),
        (
            ["prepare", COHORT, "--out", "x", "--simulate", "1", "--grades", "HGG"],
            "has no case of grade HGG (grades found: metastases); choose other grades",
        ),
        (["prepare", COHORT, "--out", "x", "--root", "."], "holds no scan; point to a folder of"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    pathogan, tmp_path, monkeypatch, metastases_home, quick_metastases, arguments, words
):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    status, _, err = pathogan("cohorts", *arguments)
    assert status == 1
    assert complaint(err).startswith("pathogan: ")
    assert words in complaint(err)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command", ["simulate", "prepare"])
def test_gliomas_have_no_normal_subjects(pathogan, small_home, tmp_path, command):
    options = ["--simulate", 1] if command == "prepare" else ["--patients", 1]
    status, _, err = pathogan(
        *("cohorts", command, "brats2016", "--out", tmp_path / "x", "--normals", 1, *options)
    )
    assert status == 1
    assert "cohort brats2016 has no normal subjects" in complaint(err)
    assert not (tmp_path / "x").exists()


def test_classes_of_a_cohort_without_printed_ones(pathogan, simulated, tmp_path):
    prepare = ["cohorts", "prepare", COHORT, "--root", simulated, "--out", tmp_path / "out"]
    assert pathogan(*prepare)[0] == 0
    status, out, _ = pathogan("cohorts", "classes", COHORT, "--prepared", tmp_path / "out")
    assert status == 0
    assert "thesis" not in out
    assert "of 3 patients" in out
