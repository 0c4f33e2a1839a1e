"""`pathogan evaluate boxes`: what it reports, and what it says about files that are not right."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FILES = {
    "all.txt": "a\nb\nc\nd\n",
    "t.csv": "image,xmin,ymin,xmax,ymax\na,0,0,10,10\na,20,20,30,30\nb,5,5,9,9\n",
    "d.csv": (
        "image,xmin,ymin,xmax,ymax,score\n"
        "a,0,0,10,10,0.9\na,0,0,10,9,0.8\nc,0,0,4,4,0.8\na,20,20,30,23,0.1\nb,5,5,9,9,0.0005\n"
    ),
    "p.csv": "image,patient\na,p1\nb,p2\nc,p3\nd,p3\n",
}
COMMAND = (
    *("evaluate", "boxes", "--truth", "t.csv", "--detections", "d.csv", "--images", "all.txt"),
)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The working folder, with good files."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def figures(pathogan, here):
    """The JSON of a run on what lies in the folder."""

    def run(*options: object) -> dict:
        status, out, _ = pathogan(*COMMAND, *options)
        assert status == 0
        return json.loads(out)

    return run


def test_the_thesis_operating_point_and_the_whole_curve(figures):
    """At IoU 0.25 the box of score 0.1 overlaps 0.3; that of 0.0005 is below the threshold."""
    found = figures()
    assert list(found) == ["0.25", "0.5"]
    assert found["0.25"]["sensitivity"] == pytest.approx(2 / 3)
    assert found["0.25"]["fps_per_image"] == 0.5
    assert found["0.5"]["sensitivity"] == pytest.approx(1 / 3)
    assert found["0.5"]["fps_per_image"] == 0.75
    assert found["0.5"]["counts"] == {
        "images": 4, "lesions": 3, "detections": 5, "hits": 1, "false_positives": 3,
    }  # fmt: skip
    assert found["0.25"]["froc"] == {
        "score": [0.9, 0.8, 0.1, 0.0005],
        "fps_per_image": [0, 0.5, 0.5, 0.5],
        "sensitivity": pytest.approx([1 / 3, 1 / 3, 2 / 3, 1]),
    }
    assert "intervals" not in found["0.5"]


def test_readings_name_the_level_the_threshold_and_a_curve_that_ends(figures):
    found = figures()["0.25"]
    by_level = {one["fps_per_image"]: one for one in found["at_fps_per_image"]}
    assert by_level[0.25]["sensitivity"] == pytest.approx(1 / 3)
    assert (by_level[0.25]["score"], by_level[0.25]["beyond_curve"]) == (0.9, False)
    assert (by_level[0.5]["sensitivity"], by_level[0.5]["beyond_curve"]) == (1, False)
    assert (by_level[8]["sensitivity"], by_level[8]["beyond_curve"]) == (1, True)
    mean = sum(one["sensitivity"] for one in by_level.values()) / len(by_level)
    assert found["mean_sensitivity"] == pytest.approx(mean)


def test_another_threshold_moves_the_point_and_not_the_curve(figures):
    before, after = figures()["0.25"], figures("--threshold", 0.0005)["0.25"]
    assert after["sensitivity"] == 1
    assert after["threshold"] == 0.0005
    assert after["froc"] == before["froc"]


def test_patients_give_intervals(figures):
    found = figures("--patients", "p.csv")["0.5"]
    low, high = found["intervals"]["sensitivity"]
    assert 0 <= low <= found["sensitivity"] <= high <= 1
    assert set(found["intervals"]) >= {"fps_per_image", "mean_sensitivity", "sensitivity_at_1_fps"}


def test_json_alone_on_stdout_or_the_table_there(here):
    def run(*options: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-c", "from pathogan_core.cli import main; main()"]
        return subprocess.run([*program, *COMMAND, *options], capture_output=True, text=True)

    bare = run()
    filed = run("--json", "out/figures.json", "--patients", "p.csv")
    assert bare.returncode == filed.returncode == 0
    assert json.loads(bare.stdout)["0.5"]["counts"]["hits"] == 1
    assert "there are no intervals" in " ".join(bare.stderr.split())
    assert filed.stderr == ""
    assert json.loads((here / "out/figures.json").read_text())["0.5"]["intervals"]
    table = filed.stdout.splitlines()
    row = next(line.split() for line in table if line.startswith("0.25 "))
    assert row[1:3] == ["66.7%", "(0.0-100.0%)"]
    assert row[-4:] == ["2", "of", "3", "2"]
    assert any(line.startswith("8 ") and "*" in line for line in table)
    assert "4 images, 3 truth boxes, 5 detections" in filed.stdout
    (here / "d.csv").write_text("nothing")
    refused = run()
    assert (refused.returncode, refused.stdout) == (1, "")
    assert len(refused.stderr.splitlines()) == 1


# Unusual, but with a meaning.


def test_other_line_ends_a_byte_order_mark_spaces_and_further_columns_change_nothing(here, figures):
    expected = figures()
    for name in ("all.txt", "t.csv", "d.csv"):
        text = FILES[name].replace("\n", " \r\n\r\n")
        (here / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
    lines = FILES["d.csv"].splitlines()
    further = [" Score,YMIN,xmin,reader,ymax,xmax,Image"]
    for line in lines[1:]:
        image, xmin, ymin, xmax, ymax, score = line.split(",")
        further.append(f"{score}, {ymin},{xmin},x,{ymax},{xmax},{image}")
    assert figures() == expected
    (here / "d.csv").write_text("\n".join(further))
    assert figures() == expected


def test_the_order_of_the_images_and_of_their_patients_changes_nothing(here, figures):
    expected = figures("--patients", "p.csv")
    (here / "all.txt").write_text("d\nb\na\nc\n")
    (here / "p.csv").write_text("image,patient\nc,p3\na,p1\nd,p3\nb,p2\n")
    assert figures("--patients", "p.csv") == expected


def test_an_image_without_truth_is_lesion_free(here, figures):
    """c has no truth: its detection is a false positive; without d there are fewer images."""
    expected = figures()
    (here / "all.txt").write_text("a\nb\nc\n")
    found = figures()
    assert found["0.5"]["sensitivity"] == expected["0.5"]["sensitivity"]
    assert found["0.5"]["fps_per_image"] == 1


def test_an_empty_file_of_detections_finds_nothing(here, figures, pathogan):
    (here / "d.csv").write_text("image,xmin,ymin,xmax,ymax,score\n")
    for found in figures("--patients", "p.csv").values():
        assert (found["sensitivity"], found["fps_per_image"]) == (0, 0)
        assert found["froc"] == {"score": [], "fps_per_image": [], "sensitivity": []}
        assert found["intervals"]["sensitivity"] == [0, 0]
    _, out, _ = pathogan(*COMMAND, "--json", "j.json")
    assert "There are no detections" in out


def test_no_truth_anywhere_leaves_sensitivity_undefined(here, figures, pathogan):
    (here / "t.csv").write_text("image,xmin,ymin,xmax,ymax\n")
    for found in figures("--patients", "p.csv").values():
        assert found["sensitivity"] is None
        assert found["mean_sensitivity"] is None
        assert found["fps_per_image"] == 1
        assert found["froc"]["sensitivity"] == [None] * 4
        assert found["at_fps_per_image"][0]["sensitivity"] is None
        assert list(found["intervals"]) == ["fps_per_image"]
    _, out, _ = pathogan(*COMMAND, "--json", "j.json", "--patients", "p.csv")
    assert "sensitivity is undefined" in out


def test_any_finite_score_and_boxes_beyond_the_border_are_allowed(here, figures):
    rows = "a,-5,-5,10,10,-3.5\nb,5,5,9,9,1e6\n"
    (here / "d.csv").write_text("image,xmin,ymin,xmax,ymax,score\n" + rows)
    found = figures("--threshold", -10)["0.25"]
    assert found["froc"]["score"] == [1e6, -3.5]
    assert found["counts"]["hits"] == 2


def test_patients_of_other_images_and_repeated_rows_are_ignored(here, figures):
    expected = figures("--patients", "p.csv")
    (here / "p.csv").write_text(FILES["p.csv"] + "z,p9\na,p1\n")
    assert figures("--patients", "p.csv") == expected


# Refused, in one line that names the file and the row.

TRUTH, FOUND = "image,xmin,ymin,xmax,ymax\n", "image,xmin,ymin,xmax,ymax,score\n"
GOOD_ROW = "a,0,0,10,10,0.9\n"
BAD = {
    "no width": ("t.csv", TRUTH + "a,3,0,3,10\n", "row 1 (line 2): box (3, 0, 3, 10) has no area"),
    "no height": ("d.csv", FOUND + GOOD_ROW + "a,0,3,9,3,1\n", "row 2 (line 3): box (0, 3, 9, 3)"),
    "swapped": (
        "t.csv",
        TRUTH + "a,9,0,3,10\n",
        "has swapped corners; give xmin, ymin, xmax, ymax",
    ),
    "nan corner": ("d.csv", FOUND + "a,0,nan,3,3,1\n", "row 1 (line 2): ymin is 'nan'; give a fin"),
    "infinite": ("t.csv", TRUTH + "a,0,0,inf,3\n", "row 1 (line 2): xmax is 'inf'"),
    "overflow": ("t.csv", TRUTH + "a,0,0,1e999,3\n", "row 1 (line 2): xmax is '1e999'"),
    "nan score": ("d.csv", FOUND + GOOD_ROW + "a,0,0,3,3,NaN\n", "row 2 (line 3): score is 'NaN'"),
    "infinite score": ("d.csv", FOUND + "a,0,0,3,3,-inf\n", "row 1 (line 2): score is '-inf'"),
    "no score": ("d.csv", FOUND + "a,0,0,3,3,\n", "row 1 (line 2): score is ''"),
    "words": (
        "d.csv",
        FOUND + "a,0,0,three,3,1\n",
        "row 1 (line 2): xmax is 'three'; give a finit",
    ),
    "unknown image": (
        "d.csv",
        FOUND + GOOD_ROW + "z,0,0,3,3,1\n",
        "row 2 (line 3): image 'z' is not in the list of images; add it there, or remove the row",
    ),
    "truth elsewhere": ("t.csv", TRUTH + "z,0,0,3,3\n", "row 1 (line 2): image 'z' is not in the"),
    "missing column": ("d.csv", TRUTH + "a,0,0,3,3\n", "column 'score' is missing"),
    "column twice": ("t.csv", "image,xmin,ymin,xmax,ymax,xmin\n", "column 'xmin' occurs twice"),
    "short row": (
        "d.csv",
        FOUND + "a,0,0,3\n",
        "row 1 (line 2) has 4 cells where the header has 6",
    ),
    "empty": ("d.csv", "", "is empty; give a CSV with the columns image,xmin,ymin,xmax,ymax,score"),
    "no CSV": ("t.csv", b"\x89PNG\r\n\x1a\n\xff\xfe", "cannot be read (not UTF-8 text)"),
    "JSON": ("d.csv", '{"boxes": []}', "column 'image' is missing"),
    "semicolons": ("d.csv", FOUND.replace(",", ";"), "separated by commas"),
    "no images": ("all.txt", "\n \n", "names no images; name every image, one to a line"),
    "image twice": ("all.txt", "a\nb\nc\n\nb\nd\n", "line 5: image 'b' is already in line 2"),
    "not text": ("all.txt", b"\xff\xfe\x00", "cannot be read (not UTF-8 text)"),
    "no patient": ("p.csv", "image,patient\na,p1\nb,p2\n", "image 'c' has no patient (2 such"),
    "nameless": ("p.csv", "image,patient\na,\n", "row 1 (line 2): patient is empty"),
    "two patients": (
        "p.csv",
        FILES["p.csv"] + "a,p2\n",
        "row 5 (line 6): image 'a' is of 'p2', before of 'p1'",
    ),
    "one patient": (
        "p.csv",
        "image,patient\na,p\nb,p\nc,p\nd,p\ne,q\n",
        "all images of the list are of one patient, 'p'",
    ),
}


@pytest.mark.parametrize(("name", "content", "message"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_refused_in_one_line(pathogan, here, name, content, message):
    (here / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    status, out, told = pathogan(*COMMAND, "--patients", "p.csv", "--json", "out.json")
    assert (status, out) == (1, "")
    assert told.startswith(f"pathogan: {name}: ")
    assert message in told
    assert not (here / "out.json").exists()


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(pathogan, here, name):
    (here / name).unlink()
    status, _, told = pathogan(*COMMAND, "--patients", "p.csv")
    assert status == 1
    assert told.startswith(f"pathogan: {name}: cannot be read (No such file or directory); give a")


@pytest.mark.parametrize("threshold", ["nan", "inf"])
def test_a_threshold_that_is_no_score_is_refused(pathogan, here, threshold):
    status, out, told = pathogan(*COMMAND, "--threshold", threshold)
    assert (status, out) == (1, "")
    assert told == f"pathogan: threshold: is {threshold}; give a score, e.g. 0.001"


def test_files_left_out_are_a_usage_error(pathogan):
    assert pathogan("evaluate", "boxes")[0] == 2
