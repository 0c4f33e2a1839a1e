"""`pathogan evaluate froc`: what it reports, and what it says about files that are not right."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FINDING = "seriesuid,coordX,coordY,coordZ,diameter_mm\n"
MARK = "seriesuid,coordX,coordY,coordZ,probability\n"
FILES = {
    "s.csv": "1.2.3\n1.2.4\n",
    "a.csv": FINDING + "1.2.3,-100,20,-300.5,8\n1.2.3,50,0,0,24\n1.2.4,0,0,0,15\n",
    "e.csv": FINDING + "1.2.4,70,0,0,-1\n",
    # found; false; on the excluded finding; found; false at the same score
    "d.csv": MARK + "1.2.3,-100,20,-297,0.9\n1.2.3,200,0,0,0.7\n1.2.4,70,4,0,0.95\n"
    "1.2.4,1,2,-3,0.5\n1.2.4,70,5,0,0.5\n",
}
COMMAND = (
    *("evaluate", "froc", "--annotations", "a.csv", "--excluded", "e.csv"),
    *("--detections", "d.csv", "--series", "s.csv"),
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


def test_cpm_sensitivity_and_interval(figures):
    """Points (0, 0), (0, 1/3), (1/2, 1/3), (1, 2/3) of false positives a scan and sensitivity."""
    found = figures()
    assert list(found)[:3] == ["cpm", "sensitivity", "interval"]
    assert found["sensitivity"] == pytest.approx([1 / 3] * 3 + [2 / 3] * 4)
    assert found["cpm"] == pytest.approx((3 * 1 / 3 + 4 * 2 / 3) / 7)
    low, high = found["interval"]
    assert 0 <= low <= found["cpm"] <= high <= 1
    assert len(found["sensitivity_intervals"]) == 7
    assert found["rates"] == [0.125, 0.25, 0.5, 1, 2, 4, 8]
    assert found["counts"] == {
        "scans": 2, "nodules": 3, "found": 2, "marks": 5, "false_positives": 2,
    }  # fmt: skip
    assert found["froc"] == {
        "score": [None, 0.9, 0.7, 0.5],
        "fps_per_scan": [0, 0, 0.5, 1],
        "sensitivity": pytest.approx([0, 1 / 3, 1 / 3, 2 / 3]),
    }


def test_by_size_and_where_it_is_told_by_attenuation(here, figures):
    found = figures()
    sizes = found["by_size"]
    assert {name: one["nodules"] for name, one in sizes.items()} == {
        "small": 1, "medium": 1, "large": 1,
    }  # fmt: skip
    assert sizes["small"]["sensitivity"] == [1] * 7
    assert sizes["medium"]["sensitivity"] == [0, 0, 0, 1, 1, 1, 1]
    assert sizes["large"]["cpm"] == 0
    assert "by_attenuation" not in found
    lines = FILES["a.csv"].splitlines()
    kinds = ("attenuation", "solid", "GGN", "solid")
    rows = (",".join(pair) for pair in zip(lines, kinds, strict=True))
    (here / "a.csv").write_text("\n".join(rows))
    again = figures()
    assert {name: one["cpm"] for name, one in again["by_attenuation"].items()} == {
        "GGN": 0,
        "solid": pytest.approx((3 * 0.5 + 4) / 7),
    }
    assert again["cpm"] == found["cpm"]


def test_json_alone_on_stdout_or_the_table_there(here):
    def run(*options: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-c", "from pathogan_core.cli import main; main()"]
        return subprocess.run([*program, *COMMAND, *options], capture_output=True, text=True)

    bare, filed = run(), run("--json", "out/figures.json")
    assert bare.returncode == filed.returncode == 0
    assert json.loads(bare.stdout) == json.loads((here / "out/figures.json").read_text())
    assert filed.stderr == ""
    table = filed.stdout.splitlines()
    assert next(line.split()[:2] for line in table if line.startswith("CPM")) == ["CPM", "52.4%"]
    assert any(line.startswith("8* ") for line in table)
    assert "2 scans, 3 nodules, 5 marks: 2 nodules found, 2 false positives" in filed.stdout
    assert table[-1] == "Intervals: 95%, bootstrap over scans."
    assert bare.stderr.strip() == filed.stdout.strip()


# Unusual, but with a meaning.


def test_other_line_ends_a_byte_order_mark_spaces_and_further_columns_change_nothing(here, figures):
    expected = figures()
    for name, text in FILES.items():
        (here / name).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", " \r\n\r\n").encode())
    assert figures() == expected
    rows = [line.split(",")[::-1] for line in FILES["d.csv"].splitlines()]
    upper = ",".join([*rows[0], "class"]).upper()
    (here / "d.csv").write_text("\n".join([upper, *(",".join([*row, "1"]) for row in rows[1:])]))
    assert figures() == expected


def test_without_marks_nothing_is_found(here, figures, pathogan):
    (here / "d.csv").write_text(MARK)
    found = figures()
    assert (found["cpm"], found["interval"], found["sensitivity"]) == (0, [0, 0], [0] * 7)
    assert found["froc"] == {"score": [None], "fps_per_scan": [0], "sensitivity": [0]}
    _, out, _ = pathogan(*COMMAND, "--json", "j.json")
    assert "There are no marks" in out


def test_without_nodules_sensitivity_is_undefined(here, figures, pathogan):
    (here / "a.csv").write_text(FINDING)
    found = figures()
    assert (found["cpm"], found["interval"], found["sensitivity"]) == (None, None, [None] * 7)
    assert found["counts"]["false_positives"] == 4
    assert set(found["froc"]["sensitivity"]) == {None}
    _, out, _ = pathogan(*COMMAND, "--json", "j.json")
    assert "sensitivity is undefined" in out


def test_one_scan_has_no_interval(here, figures, pathogan):
    (here / "s.csv").write_text("1.2.3\n")
    (here / "a.csv").write_text(FINDING + "1.2.3,-100,20,-300.5,8\n")
    (here / "e.csv").write_text(FINDING)
    (here / "d.csv").write_text(MARK + "1.2.3,-100,20,-297,0.9\n")
    found = figures()
    assert (found["cpm"], found["interval"], found["sensitivity_intervals"]) == (1, None, None)
    _, out, _ = pathogan(*COMMAND, "--json", "j.json")
    assert "There is one scan only: no intervals." in out


def test_the_exclusion_list_matters_and_may_be_empty(here, figures):
    before = figures()
    (here / "e.csv").write_text(FINDING)
    after = figures()
    assert after["counts"]["false_positives"] == before["counts"]["false_positives"] + 1
    assert after["sensitivity"][:2] < before["sensitivity"][:2]


# Refused, in one line that names the file and the row.

GOOD = "1.2.3,0,0,0,9\n"
BAD = {
    "negative": ("a.csv", FINDING + GOOD + "1.2.4,0,0,0,-1\n", "row 2 (line 3): diameter_mm is -1"),
    "zero": ("a.csv", FINDING + "1.2.4,0,0,0,0\n", "row 1 (line 2): diameter_mm is 0; give one"),
    "annotated elsewhere": (
        "a.csv",
        FINDING + GOOD + "9.9,0,0,0,9\n",
        "row 2 (line 3): scan '9.9' is not in the list of scans; add it there, or remove the row",
    ),
    "excluded elsewhere": ("e.csv", FINDING + "9.9,0,0,0,9\n", "scan '9.9' is not in the list of"),
    "marked elsewhere": ("d.csv", MARK + "9.9,0,0,0,9\n", "row 1 (line 2): scan '9.9' is not in"),
    "nan": ("a.csv", FINDING + "1.2.3,nan,0,0,9\n", "row 1 (line 2): coordx is 'nan'"),
    "infinite": ("e.csv", FINDING + "1.2.3,0,0,1e999,9\n", "row 1 (line 2): coordz is '1e999'"),
    "no score": ("d.csv", MARK + "1.2.3,0,0,0,\n", "row 1 (line 2): probability is ''"),
    "words": ("d.csv", MARK + "1.2.3,0,0,0,sure\n", "row 1 (line 2): probability is 'sure'"),
    "missing column": ("d.csv", FINDING + GOOD, "column 'probability' is missing"),
    "short row": ("a.csv", FINDING + "1.2.3,0\n", "row 1 (line 2) has 2 cells where the header"),
    "empty": ("e.csv", "", "is empty; give a CSV with the columns seriesuid,coordx"),
    "no text": ("d.csv", b"\xff\xfe\x00", "cannot be read (not UTF-8 text)"),
    "header": ("s.csv", "seriesuid\n1.2.3\n1.2.4\n", "has a header; remove its first line"),
    "table": ("s.csv", "1.2.3,0\n1.2.4,1\n", "'1.2.3,0' is more than the identifier of a series"),
    "no series": ("s.csv", "\n", "names no scans; name every scan, one to a line"),
    "twice": ("s.csv", "1.2.3\n1.2.4\n1.2.3\n", "line 3: scan '1.2.3' is already in line 1"),
    "no attenuation": (
        "a.csv",
        FINDING.replace("\n", ",attenuation\n") + "1.2.3,0,0,0,9,\n",
        "row 1 (line 2): attenuation is empty",
    ),
}


@pytest.mark.parametrize(("name", "content", "message"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_refused_in_one_line(pathogan, here, name, content, message):
    (here / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    status, out, told = pathogan(*COMMAND, "--json", "out.json")
    assert (status, out) == (1, "")
    assert told.startswith(f"pathogan: {name}: ")
    assert message in told
    assert not (here / "out.json").exists()


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(pathogan, here, name):
    (here / name).unlink()
    status, _, told = pathogan(*COMMAND)
    assert status == 1
    assert told.startswith(f"pathogan: {name}: cannot be read (No such file or directory); give a")


def test_files_left_out_are_a_usage_error(pathogan):
    assert pathogan("evaluate", "froc", "--annotations", "a.csv")[0] == 2
