"""`pathogan cohorts` as a user meets it: output, one-line errors, exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import yaml
from brats_writer import write_case
from fake_cases import random_brain
from test_check import FAULTS, image_of

from pathogan_core.cohorts.prepared import PreparedSlices
from pathogan_core.errors import PathoganError


def complaint(err: str) -> str:
    """The error line below any progress bar."""
    assert "Traceback" not in err
    return err.rstrip("\n").rsplit("\n", 1)[-1].rsplit("\r", 1)[-1]


def test_list(pathogan):
    status, out, _ = pathogan("cohorts", "list")
    assert status == 0
    sets = ("section3", "80..149", "15,400", "section4", "axial slices 30..130", "22,220")
    for words in ("brats2016", "220 HGG, 54 LGG", *sets, "registration"):
        assert words in out
    boxed = ("section5", "axial slices 15..140", "46,998", "labelled, binary", "beamster")
    for words in ("brain_metastases", "180 metastases, 193 normal", *boxed, "of each source"):
        assert words in out
    status, out, _ = pathogan("cohorts", "list", "--json")
    cases = {manifest["name"]: manifest["expected"]["cases"] for manifest in json.loads(out)}
    assert cases == {
        "brain_metastases": {"metastases": 180, "normal": 193},
        "brats2016": {"HGG": 220, "LGG": 54},
    }


def test_check_of_a_sound_cohort(pathogan, small_home, cohort):
    status, out, err = pathogan("cohorts", "check", "brats2016", "--root", cohort)
    assert status == 0
    assert "4/4" in err
    for words in ("real", "3 HGG of 220, 1 LGG of 54 (4 patients)", "2020 (4)", "none"):
        assert words in out


def test_check_lists_every_problem_and_exits_1(pathogan, small_home, cohort):
    for path in cohort.glob("HGG/*/*_t1ce.nii.gz"):
        path.write_text("not an image")
    status, out, err = pathogan("cohorts", "check", "brats2016", "--root", cohort)
    assert status == 1
    assert "Traceback" not in err
    assert out.count("is not a readable medical image") == 3
    assert out.splitlines()[-1] == "3 problems"
    status, out, _ = pathogan("cohorts", "check", "brats2016", "--root", cohort, "--json")
    assert status == 1
    assert len(json.loads(out)["problems"]) == 3


def test_check_of_one_problem_and_of_no_folder(pathogan, small_home, tmp_path):
    status, out, _ = pathogan("cohorts", "check", "brats2016", "--root", tmp_path / "none")
    assert status == 1
    assert "does not exist" in out
    assert out.splitlines()[-1] == "1 problem"


@pytest.mark.parametrize(
    "fault", ["truncated", "short", "text", "2D", "missing", "shape", "origin", "NaN"]
)
def test_a_bad_file_is_one_line_with_a_remedy_and_nothing_counts_as_prepared(
    pathogan, small_home, cohort, tmp_path, fault
):
    ending, make, words = FAULTS[fault]
    make(image_of(cohort, ending))
    status, out, err = pathogan("cohorts", "check", "brats2016", "--root", cohort)
    line, count = out.splitlines()
    assert (status, count) == (1, "1 problem")
    command = ["cohorts", "prepare", "brats2016", "--root", cohort, "--out", tmp_path / "out"]
    status, out, err = pathogan(*command)
    assert (status, out, complaint(err)) == (1, "", f"pathogan: {line}")
    assert words in line
    assert line.startswith(str(cohort))
    assert "; " in line
    with pytest.raises(PathoganError, match="half-written"):  # of the scan before the bad one
        PreparedSlices.open(tmp_path / "out")


@pytest.mark.parametrize("command", ["check", "prepare"])
def test_a_folder_without_scans_is_one_line(pathogan, small_home, tmp_path, command):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    options = ["--out", tmp_path / "out"] if command == "prepare" else []
    for name, words in [
        ("none", "does not exist; give the cohort's folder"),
        ("file", "is not a folder; give the cohort's folder"),
        ("empty", "holds no scan; point to a folder of one of these"),
    ]:
        where = tmp_path / name
        status, out, err = pathogan("cohorts", command, "brats2016", "--root", where, *options)
        line = out.splitlines()[0] if command == "check" else complaint(err)
        assert status == 1
        assert line.removeprefix("pathogan: ").startswith(f"{where}: {words}")
    assert not (tmp_path / "out").exists()


def test_prepare_from_a_folder(pathogan, small_home, cohort, tmp_path):
    out_folder = tmp_path / "out"
    command = ["cohorts", "prepare", "brats2016", "--root", cohort, "--out", out_folder]
    status, out, err = pathogan(*command)
    assert status == 0
    assert "18 images a sequence from 3 real scans" in out
    assert "3/3" in err
    prepared = PreparedSlices.open(out_folder)
    assert prepared.sizes == (16, 8)
    assert pathogan(*command)[0] == 0  # again: nothing to do
    status, _, err = pathogan(*command, "--sizes", "12")
    assert status == 1
    assert "was made with sizes [16, 8], not [12]" in complaint(err)


def test_prepare_options_reach_the_images(pathogan, small_home, cohort, tmp_path):
    status, _, _ = pathogan(
        *("cohorts", "prepare", "brats2016", "--root", cohort, "--out", tmp_path / "out"),
        *("--sizes", "12,6", "--grades", "HGG,LGG", "--first-slice", 10, "--last-slice", 11),
        *("--white-percentile", 99, "--fractions", "0.5,0,0.5", "--split-seed", 3, "--workers", 2),
    )
    assert status == 0
    prepared = PreparedSlices.open(tmp_path / "out")
    told = prepared.info["parameters"]
    assert told["sizes"] == [12, 6]
    assert told["white_percentile"] == 99.0
    assert told["split_seed"] == 3
    assert prepared.table["slice"].unique().tolist() == [10, 11]
    assert prepared.table.groupby("split")["patient"].nunique().to_dict() == {"train": 2, "test": 2}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "brats2015", "--root", "."], "brats2015: is no cohort; choose one of brats2016"),
        (["simulate", "brats2015", "--out", "x"], "choose one of brats2016"),
        (["simulate", "brats2016", "--out", "x", "--layout", "2011"], "--layout: is '2011'"),
        (["simulate", "brats2016", "--out", "x", "--patients", "0"], "patients"),
        (["prepare", "brats2015", "--root", ".", "--out", "x"], "choose one of brats2016"),
        (["prepare", "brats2016", "--out", "x"], "exactly one of --root and --simulate"),
        (["prepare", "brats2016", "--out", "x", "--simulate", "0"], "patients: is 0"),
        (["prepare", "brats2016", "--out", "x", "--root", "none"], "none: does not exist"),
        (["prepare", "brats2016", "--out", "x", "--root", ".", "--sizes", "big"], "--sizes: is 'b"),
        (["prepare", "brats2016", "--out", "x", "--root", ".", "--sizes", "0"], "sizes"),
        (
            ["prepare", "brats2016", "--out", "x", "--root", ".", "--fractions", "1,0"],
            "--fractions: is '1,0'; give 3 numbers",
        ),
        (["prepare", "brats2016", "--out", "x", "--root", ".", "--fractions", "1,1,0"], "split"),
        (
            ["prepare", "brats2016", "--out", "x", "--root", ".", "--fractions", "printed"],
            "--fractions: is 'printed'; give 3 numbers",  # section 3 has no alternative
        ),
        (
            ["prepare", "brats2016", "--out", "x", "--root", ".", "--set", "section5"],
            "cohort brats2016: has no preparation 'section5'; choose one of section3, section4",
        ),
        (["prepare", "brats2016", "--out", "x", "--root", ".", "--frame", "0"], "frame: is 0"),
        (["classes", "brats2016", "--prepared", "x"], "holds no prepared slices"),
        (["classes", "brats2016", "--prepared", "x", "--every", "0"], "every: is 0"),
        (
            ["classes", "brats2016", "--prepared", "x", "--tumour-rule", "all"],
            "tumour_rule: is 'all'; choose one of any, core, enhancing",
        ),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    pathogan, tmp_path, monkeypatch, small_home, arguments, words
):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    status, _, err = pathogan("cohorts", *arguments)
    assert status == 1
    assert complaint(err).startswith("pathogan: ")
    assert words in complaint(err)
    assert list(folder.iterdir()) == []


def test_prepare_section_4_and_count_its_classes(pathogan, small_home, cohort, tmp_path):
    command = ["cohorts", "prepare", "brats2016", "--set", "section4", "--root", cohort]
    status, out, _ = pathogan(
        *command, "--out", tmp_path / "out", "--fractions", "printed", "--frame", 32
    )
    assert status == 0
    prepared = PreparedSlices.open(tmp_path / "out")
    told = prepared.info["parameters"]
    assert (told["plane"], told["frame"], told["sequences"]) == ("axial", 32, ["t1c"])
    assert told["split"] == [0.7, 0.2, 0.1]
    assert "printed" not in json.dumps(told)
    count = ["cohorts", "classes", "brats2016", "--prepared", tmp_path / "out"]
    status, out, _ = pathogan(*count, "--every", 2)
    assert status == 0
    assert "train      3 tumour, 0 non-tumour of 1 patients" in out
    assert "thesis" not in out
    status, out, _ = pathogan(*count, "--json")
    counts = json.loads(out)
    assert (counts["source"], counts["thesis"]) == ("real", {})
    assert counts["counts"]["train"] == {"patients": 1, "tumour": 6, "non_tumour": 0}


def test_classes_stand_beside_the_thesis_counts(pathogan, small_home, cohort, tmp_path):
    prepare = ["cohorts", "prepare", "brats2016", "--root", cohort, "--out", tmp_path / "out"]
    assert pathogan(*prepare)[0] == 0
    path = small_home / "data_manifests" / "brats2016.yaml"
    content = yaml.safe_load(path.read_text())
    rows = {"train": (3, 11, 7), "validation": (2, 5, 6), "test": (1, 8, 9)}
    content["preparations"]["section4"]["expected"]["classes"] = {
        split: dict(zip(("patients", "tumour", "non_tumour"), row, strict=True))
        for split, row in rows.items()
    }
    path.write_text(yaml.safe_dump(content))
    count = ["cohorts", "classes", "brats2016", "--prepared", tmp_path / "out"]
    status, out, _ = pathogan(*count, "--set", "section4")
    assert status == 0
    assert "(thesis: 5 tumour, 6 non-tumour of 2 patients)" in out.splitlines()[2]


def test_an_unknown_option_is_refused(pathogan):
    status, _, err = pathogan("cohorts", "list", "--unknown")
    assert status == 2
    assert "Traceback" not in err


def test_the_installed_command_exits_1_for_a_bad_cohort(small_home, tmp_path):
    """Through a process of its own, as a shell script would see it."""
    volumes, labels = random_brain(0)
    labels[labels == 3] = 1
    files = write_case(tmp_path / "data", "2023", "BraTS-GLI-00001-000", "", volumes, labels)
    files["t2"].unlink()
    run = subprocess.run(
        [
            *(sys.executable, "-c", "from pathogan_core.cli import main; main()"),
            *("cohorts", "check", "brats2016", "--root", str(tmp_path / "data")),
        ],
        env={**os.environ, "PATHOGAN_HOME": str(small_home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 1
    assert "has no t2 file" in run.stdout
    assert "has the label values 4" in run.stdout
    assert "Traceback" not in run.stderr
