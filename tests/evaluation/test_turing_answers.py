"""Answer files, good and bad, and `pathogan evaluate turing` on them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.turing import Answer, Confusion, judge, judge_readers
from pathogan_core.evaluation.turing_answers import as_table, explain, read_answers

GOOD = "reader,truth,answer\nann,real,real\nann,synthetic,real\nbo,real,synthetic\n"


def written(tmp_path, text):
    path = tmp_path / "answers.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def run(*arguments):
    command = [sys.executable, "-c", "from pathogan_core.cli import main; main()"]
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True)


def test_reads_rows_whatever_case_order_of_columns_and_further_columns(tmp_path):
    text = "﻿Answer, seconds ,TRUTH,reader\n REAL,1.5,Synthetic,ann\n\nreal,2,real,bo\n"
    assert read_answers(written(tmp_path, text)) == [
        Answer("ann", "synthetic", "real"),
        Answer("bo", "real", "real"),
    ]


def test_reads_class_pairs_and_lets_rows_go_without(tmp_path):
    text = (
        "reader,truth,answer,class_truth,class_answer\n"
        "ann,real,real,Tumour,tumour\nann,real,real,healthy,tumour\nann,real,real,,\n"
    )
    pairs = [(a.class_truth, a.class_answer) for a in read_answers(written(tmp_path, text))]
    assert pairs == [("tumour", "tumour"), ("healthy", "tumour"), (None, None)]


CLASSED = "reader,truth,answer,class_truth,class_answer\nann,real,real,tumour,tumour\n"
BAD_FILES = {
    "empty": ("", "is empty"),
    "header only": ("reader,truth,answer\n", "no rows"),
    "missing column": ("reader,truth\nann,real\n", "'answer' is missing"),
    "semicolons": ("reader;truth;answer\nann;real;real\n", "separated by commas"),
    "unknown answer": (GOOD + "bo,real,fake\n", r"row 4 \(line 5\).*'fake'"),
    "unknown truth": ("reader,truth,answer\nann,genuine,real\n", r"row 1.*'genuine'"),
    "empty answer": (GOOD + "bo,real,\n", "row 4"),
    "no reader": (GOOD + " ,real,real\n", "row 4.*reader is empty"),
    "short row": (GOOD + "bo,real\n", "row 4.*2 cells"),
    "long row": (GOOD + "bo,real,real,real\n", "row 4.*4 cells"),
    "half a class pair": (CLASSED + "ann,real,real,tumour,\n", "row 2.*both"),
    "unknown class": (
        CLASSED + "ann,real,real,healthy,tumor\n",
        "row 2.*'tumor'.*healthy, tumour",
    ),
    "not text": (b"\x89PNG\r\n\x1a\n\xff\xfe", "not UTF-8"),
    "reader all": ("reader,truth,answer\nall,real,real\n", "pooled"),
}


@pytest.mark.parametrize(("text", "message"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_file_is_one_line_that_names_the_place(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(PathoganError, match=message) as caught:
        judge_readers(read_answers(path))
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    for path in (tmp_path / "nowhere.csv", tmp_path):
        with pytest.raises(PathoganError, match="cannot be read"):
            read_answers(path)


def test_table_has_a_row_per_reader_and_marks_corrections():
    rows = [Answer("ann", "real", "real"), Answer("ann", "synthetic", "synthetic")]
    table = as_table(judge_readers(rows)).splitlines()
    assert [line.split()[0] for line in table[2:4]] == ["ann", "all"]
    assert "*" in table[2]
    assert "log-linearly" in table[4]


@pytest.mark.parametrize(
    ("confusion", "sentence"),
    [
        (Confusion(27, 23, 23, 27), "No difference from guessing was found"),
        (Confusion(40, 10, 10, 40), "told apart better than by guessing"),
        (Confusion(10, 40, 40, 10), "wrong more often than guesses"),
        (Confusion(90, 0, 10, 0), "No difference from guessing was found"),
    ],
)
def test_explanation_never_calls_images_indistinguishable(confusion, sentence):
    text = explain({"all": judge(confusion)})
    assert sentence in text
    assert "is not indistinguishable" in text
    assert f"{100 * judge(confusion).equivalence_margin:.1f} points" in text


def test_explanation_of_too_few_answers():
    assert "not even a faultless reader" in explain({"all": judge(Confusion(1, 1, 1, 1))})


def test_command_prints_json_alone_on_stdout(tmp_path):
    done = run("evaluate", "turing", "--answers", written(tmp_path, GOOD))
    assert done.returncode == 0
    figures = json.loads(done.stdout)
    assert list(figures) == ["ann", "bo", "all"]
    assert figures["all"]["accuracy"] == pytest.approx(1 / 3)
    assert figures["all"]["interval"][0] < 1 / 3 < figures["all"]["interval"][1]
    assert figures["bo"]["d_prime"] is None
    assert "What it does not show" in done.stderr
    assert "images are of one patient" in " ".join(done.stderr.split())
    assert max(map(len, done.stderr.splitlines()[-8:])) <= 88


def test_command_writes_json_and_prints_the_table(tmp_path):
    target = tmp_path / "out" / "figures.json"
    done = run("evaluate", "turing", "--answers", written(tmp_path, GOOD), "--json", target)
    assert done.returncode == 0
    assert json.loads(target.read_text())["all"]["n_real"] == 2
    assert "95% interval" in done.stdout
    assert done.stderr == ""


def test_command_refuses_a_bad_row_in_one_line(tmp_path):
    target = tmp_path / "figures.json"
    path = written(tmp_path, GOOD + "bo,real,fake\n")
    done = run("evaluate", "turing", "--answers", path, "--json", target)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "answers.csv: row 4" in done.stderr
    assert not target.exists()


def test_command_without_answers_is_a_usage_error():
    assert run("evaluate", "turing").returncode == 2
