"""The second question: balanced by class, as blind as the first, and scored by truth."""

from __future__ import annotations

import csv
import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import stats

from pathogan_core.cli import main
from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.turing import Answer, judge_classes, judge_readers
from pathogan_core.evaluation.turing_answers import as_table, explain, read_answers
from pathogan_core.evaluation.turing_classes import ImageClasses
from pathogan_core.evaluation.turing_session import (
    export_session,
    read_key,
    read_key_classes,
    score_answers,
    score_session,
)
from pathogan_core.evaluation.turing_sheet import AnswerSheet
from pathogan_core.experiments.published_table3 import load_refined_turing

NAMES = ("tumour", "non-tumour")
T, N = NAMES
CLASSES = {"real": [T, N, N, T, N, T, N, N, N], "synthetic": [N, T, T, N, T, T, T, T, T, N, N, T]}


def pool(truth):
    """Images of `CLASSES`; tumour ones are noise, which would compress far worse than the flat."""
    rng = np.random.default_rng(len(truth))
    images = rng.integers(0, 256, (len(CLASSES[truth]), 12, 10), dtype=np.uint8)
    images[np.array(CLASSES[truth]) == N, :9] = 0
    return images


def export(folder, *, per_class=6, seed=3, names=NAMES, **classes):
    asked = ImageClasses(names, **{**CLASSES, **classes})
    pools = (pool(truth) for truth in CLASSES)
    return export_session(*pools, folder, per_class=per_class, seed=seed, classes=asked)


@pytest.fixture
def session(tmp_path):
    return export(tmp_path / "session")


def written(path, header, rows):
    with path.open("w", newline="") as handle:
        csv.writer(handle).writerows([header, *rows])
    return path


BAD_CLASSES = {
    "odd": ({"per_class": 5}, "5 real images cannot be half of each"),
    "too few tumours": ({"per_class": 8}, "4 real images of class tumour wanted, 3 given"),
    "too few others": (
        {"synthetic": [T] * 10 + [N] * 2},
        "3 synthetic images of class non-tumour wanted, 2 given",
    ),
    "other length": ({"real": [T, N] * 3}, "9 real images, but classes of shape"),
    "unknown": ({"real": [T] * 4 + [N] * 4 + ["tumor"]}, "real image is of class 'tumor'"),
    "left out": ({"real": [T] * 4 + [N] * 4 + [""]}, "real image is of class ''"),
    "one name twice": ({"names": (T, T)}, "cannot be asked"),
    "one key twice": ({"names": (T, "trace")}, "different letters"),
    "key of the first question": ({"names": (T, "regular")}, "not r or s"),
    "capital": ({"names": ("Tumour", N)}, "lower-case"),
    "no letter": ({"names": (T, "0")}, "lower-case"),
    "three": ({"names": (T, N, "mass")}, "two lower-case names"),
}


class TestExport:
    def test_half_of_each_truth_is_of_each_class_and_none_is_shown_twice(self, session):
        truths, classes = (read(session / "key/key.csv") for read in (read_key, read_key_classes))
        assert list(truths) == list(classes) == [f"{i:03d}.png" for i in range(1, 13)]
        pairs = sorted((truths[name], classes[name]) for name in truths)
        assert pairs == sorted((t, c) for t in CLASSES for c in NAMES for _ in range(3))

    def test_the_key_names_the_class_of_the_image_beside_it(self, session):
        truths, classes = (read(session / "key/key.csv") for read in (read_key, read_key_classes))
        shown = set()
        for name, truth in truths.items():
            picture = np.asarray(Image.open(session / name))
            (number,) = (i for i, image in enumerate(pool(truth)) if np.array_equal(image, picture))
            assert classes[name] == CLASSES[truth][number]
            shown.add((truth, number))
        assert len(shown) == 12

    def test_files_tell_neither_truth_nor_class(self, session):
        paths = sorted(session.glob("*.png"))
        assert len({path.stat().st_size for path in paths}) == 1
        assert len({path.stat().st_mtime_ns for path in paths}) == 1
        shown = json.loads((session / "session.json").read_text())
        assert shown["classes"] == list(NAMES)
        classes = list(read_key_classes(session / "key/key.csv").values())
        assert json.dumps(shown).count("tumour") == 2  # the question, not the answers
        assert classes not in (sorted(classes), sorted(classes, reverse=True))
        public = {path.name for path in session.iterdir()} - {"key"}
        assert public == {"session.json", *(path.name for path in paths)}

    def test_a_place_in_the_order_holds_each_kind_about_equally_often(self, tmp_path):
        first = []
        for seed in range(80):
            key = export(tmp_path / str(seed), per_class=2, seed=seed) / "key/key.csv"
            first.append((read_key(key)["001.png"], read_key_classes(key)["001.png"]))
        counts = [first.count((truth, name)) for truth in CLASSES for name in NAMES]
        assert sum(counts) == 80
        assert stats.chisquare(counts).pvalue > 1e-4  # a fair order fails once in 10,000 seeds

    def test_every_image_of_a_class_can_be_drawn(self, tmp_path):
        drawn = set()
        for seed in range(30):
            folder = export(tmp_path / str(seed), per_class=2, seed=seed)
            drawn |= {Image.open(path).tobytes() for path in folder.glob("*.png")}
        assert len(drawn) == len(CLASSES["real"]) + len(CLASSES["synthetic"])

    def test_same_seed_same_session(self, tmp_path, session):
        again = export(tmp_path / "again")
        for path in session.rglob("*.*"):
            assert (again / path.relative_to(session)).read_bytes() == path.read_bytes()

    def test_without_classes_nothing_is_drawn_named_or_ordered_otherwise(self, tmp_path):
        folder = export_session(
            pool("real"), pool("synthetic"), tmp_path / "s", per_class=6, seed=3
        )
        rng = np.random.default_rng(3)
        drawn = [rng.choice(len(CLASSES[truth]), 6, replace=False) for truth in CLASSES]
        order = rng.permutation(12)
        images = np.concatenate([pool(t)[d] for t, d in zip(CLASSES, drawn, strict=True)])[order]
        for number, image in enumerate(images, start=1):
            assert np.array_equal(Image.open(folder / f"{number:03d}.png"), image)
        truths = ["real" if number < 6 else "synthetic" for number in order]
        lines = [f"{i:03d}.png,{truth}" for i, truth in enumerate(truths, start=1)]
        assert (folder / "key/key.csv").read_text().splitlines() == ["image,truth", *lines]
        assert set(json.loads((folder / "session.json").read_text())) == {
            "schema", "images", "height", "width", "real", "synthetic", "window", "upscaling"
        }  # fmt: skip
        assert read_key_classes(folder / "key/key.csv") == {}

    @pytest.mark.parametrize(("change", "message"), BAD_CLASSES.values(), ids=BAD_CLASSES.keys())
    def test_classes_that_cannot_be_asked_leave_nothing_behind(self, tmp_path, change, message):
        with pytest.raises(PathoganError, match=message) as caught:
            export(tmp_path / "s", **change)
        assert "\n" not in str(caught.value)
        assert list(tmp_path.iterdir()) == []


def answers_of(row):
    """One answer an image that add up to a row of thesis Table 3's second question."""
    rows = []
    for truth in CLASSES:
        cells = row.tumour_confusion(truth).counts
        pairs = [(shown, said) for shown in NAMES for said in NAMES]
        for (shown, said), count in zip(pairs, cells, strict=True):
            rows += [Answer("ann", truth, "real", shown, said)] * count
    return rows


def tail(k, n, p):
    return float(stats.binom.sf(k - 1, n, p))


class TestScoring:
    @pytest.mark.parametrize("row", load_refined_turing(), ids=lambda row: row.model)
    def test_printed_shares_of_table_3(self, row):
        classes = judge_readers(answers_of(row))["all"].classes
        assert 100 * classes.accuracy == pytest.approx(row.tumour_accuracy_percent)
        assert 100 * classes.sensitivity.value == pytest.approx(row.tumour_as_tumour_percent)
        assert 100 * classes.specificity.value == pytest.approx(
            row.non_tumour_as_non_tumour_percent
        )
        assert (classes.n, classes.sensitivity.n, classes.specificity.n) == (200, 100, 100)

    def test_by_truth_by_hand(self):
        """SimGAN's row: of 50 each, 2 tumours missed in real and 7 in synthetic images, 3 imagined
        in real ones."""
        row = next(row for row in load_refined_turing() if row.model == "simgan")
        parts = judge_classes(answers_of(row), T).by_truth
        assert list(parts) == ["real", "synthetic"]
        assert (parts["real"].n, parts["synthetic"].n) == (100, 100)
        assert [parts[t].accuracy for t in parts] == [0.95, 0.93]
        assert [parts[t].sensitivity.value for t in parts] == [0.96, 0.86]
        assert [parts[t].specificity.value for t in parts] == [0.94, 1.0]
        assert parts["real"].rates[N] == {N: 0.94, T: 0.06}
        low, high = parts["synthetic"].sensitivity.interval
        assert tail(43, 50, low) == pytest.approx(0.025)
        assert 1 - tail(44, 50, high) == pytest.approx(0.025)
        low, high = parts["synthetic"].specificity.interval
        assert tail(50, 50, low) == pytest.approx(0.025)
        assert high == 1
        low, high = parts["real"].interval
        assert tail(95, 100, low) == pytest.approx(0.025)
        assert 1 - tail(96, 100, high) == pytest.approx(0.025)

    asked = st.builds(
        Answer,
        reader=st.just("ann"),
        truth=st.sampled_from(list(CLASSES)),
        answer=st.sampled_from(list(CLASSES)),
        class_truth=st.sampled_from(NAMES),
        class_answer=st.sampled_from(NAMES),
    )

    @settings(deadline=None)
    @given(st.lists(asked, min_size=1, max_size=40))
    def test_parts_make_up_the_whole_and_classes_are_symmetric(self, rows):
        whole, mirrored = judge_classes(rows, T), judge_classes(rows, N)
        assert (mirrored.sensitivity, mirrored.specificity) == (
            whole.specificity,
            whole.sensitivity,
        )
        for name in ("sensitivity", "specificity"):
            parts = [getattr(m, name) for m in whole.by_truth.values() if getattr(m, name)]
            total = getattr(whole, name)
            assert sum(p.n for p in parts) == (total.n if total else 0)
            if total:
                right = sum(p.value * p.n for p in parts)
                assert total.value * total.n == pytest.approx(right)
        right = sum(m.accuracy * m.n for m in whole.by_truth.values())
        assert whole.accuracy * whole.n == pytest.approx(right)

    def test_which_class_is_positive(self):
        rows = [
            Answer("ann", "real", "real", "lesion", "lesion"),
            Answer("ann", "real", "real", "none", "lesion"),
        ]
        assert judge_readers(rows)["ann"].classes.sensitivity is None
        classes = judge_readers(rows, "lesion")["ann"].classes
        assert (classes.sensitivity.value, classes.specificity.value) == (1, 0)
        with pytest.raises(PathoganError, match=r"positive class 'tumour'.*lesion, none"):
            judge_readers(rows, "tumour")

    def test_a_class_not_shown_has_no_rate(self):
        classes = judge_classes([Answer("ann", "real", "real", N, N)], T)
        assert classes.sensitivity is None
        assert classes.specificity.value == 1
        assert list(classes.by_truth) == ["real"]

    def test_answers_are_joined_with_the_key(self, tmp_path):
        key = written(
            tmp_path / "key.csv",
            ("image", "truth", "class_truth"),
            [("1", "real", T), ("2", "real", N), ("3", "synthetic", T), ("4", "synthetic", N)],
        )
        answers = written(
            tmp_path / "a.csv",
            ("reader", "image", "answer", "seconds", "class_answer", "class_seconds"),
            [
                ("ann", "1", "real", "1", T, "1"),
                ("ann", "2", "synthetic", "1", "Tumour", "1"),
                ("ann", "3", "synthetic", "1", N, "1"),
                ("ann", "4", "real", "1", N, ""),
            ],
        )
        result = score_answers(answers, key)["ann"]
        assert result.accuracy == 0.5
        assert result.classes.accuracy == 0.5
        assert result.classes.by_truth["real"].sensitivity.value == 1
        assert result.classes.by_truth["real"].specificity.value == 0
        assert result.classes.by_truth["synthetic"].sensitivity.value == 0
        assert result.classes.by_truth["synthetic"].specificity.value == 1
        assert score_answers(answers, key, positive=N)["ann"].classes.sensitivity.value == 0.5
        assert not any("stopped" in note or "named" in note for note in result.notes)

    def test_an_image_without_its_class_counts_in_the_first_question_only(self, tmp_path, session):
        rows = [("ann", "001.png", "real", T), ("ann", "002.png", "real", "")]
        header = ("reader", "image", "answer", "class_answer")
        result = score_session(session, written(tmp_path / "a.csv", header, rows))["ann"]
        assert (result.n, result.classes.n) == (2, 1)
        assert any("class named for 1 of 2" in note for note in result.notes)

    @pytest.mark.parametrize("positive", [None, T])
    def test_a_reader_who_stopped_before_the_first_tumour(self, tmp_path, session, positive):
        classes = read_key_classes(session / "key/key.csv")
        name = next(name for name, shown in classes.items() if shown == N)
        header = ("reader", "image", "answer", "class_answer")
        path = written(tmp_path / "a.csv", header, [("ann", name, "real", T)])
        result = score_session(session, path, positive=positive)["ann"].classes
        assert result.sensitivity is None
        assert result.specificity.value == 0
        with pytest.raises(PathoganError, match=r"'tumor'.*non-tumour, tumour"):
            score_session(session, path, positive="tumor")

    def test_answers_to_the_first_question_only_can_be_scored(self, tmp_path, session):
        rows = [("ann", name, truth) for name, truth in read_key(session / "key/key.csv").items()]
        path = written(tmp_path / "a.csv", ("reader", "image", "answer"), rows)
        result = score_session(session, path)["ann"]
        assert result.accuracy == 1
        assert result.classes is None
        assert any("0 of 12" in note for note in result.notes)

    def test_class_answers_that_do_not_fit_the_key(self, tmp_path, session):
        header = ("reader", "image", "answer", "class_answer")
        path = written(tmp_path / "a.csv", header, [("ann", "001.png", "real", "tumor")])
        with pytest.raises(PathoganError, match=r"row 1.*'tumor'.*'non-tumour' or 'tumour'"):
            score_session(session, path)
        plain = written(tmp_path / "key.csv", ("image", "truth"), [("001.png", "real")])
        with pytest.raises(PathoganError, match="has no class_truth"):
            score_answers(path, plain)

    def test_a_key_with_half_its_classes_is_refused(self, tmp_path):
        rows = [("1", "real", T), ("2", "real", "")]
        key = written(tmp_path / "key.csv", ("image", "truth", "class_truth"), rows)
        with pytest.raises(PathoganError, match="class_truth is empty for some"):
            read_key(key)


class TestReport:
    def test_table_has_a_row_for_each_truth_and_both(self):
        row = next(row for row in load_refined_turing() if row.model == "pggan")
        results = judge_readers(answers_of(row))
        lines = as_table(results).splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("class by"))
        table = [line.split() for line in lines[start + 2 : start + 8]]
        assert [cells[:4] for cells in table[:3]] == [
            ["ann", "real", "100", "89.0%"],
            ["ann", "synthetic", "100", "86.0%"],
            ["ann", "both", "200", "87.5%"],
        ]
        assert [cells[5] for cells in table[:3]] == ["78.0%", "76.0%", "77.0%"]
        assert [cells[7] for cells in table[:3]] == ["100.0%", "96.0%", "98.0%"]
        assert "87.5% of 200 images were put in the right class" in explain(results)
        assert "89.0% in real and 86.0% in synthetic images" in explain(results)

    def test_without_the_question_neither_table_nor_text_speaks_of_it(self):
        results = judge_readers([Answer("ann", "real", "real")])
        assert "class" not in as_table(results) + explain(results)
        assert "classes" not in results["ann"].as_dict()

    @pytest.mark.parametrize("positive", [T, "Non-Tumour"])
    def test_command_writes_measures_by_truth(
        self, tmp_path, session, capsys, monkeypatch, positive
    ):
        key = session / "key/key.csv"
        rows = [("ann", name, "real", T) for name in read_key(key)]
        path = written(tmp_path / "a.csv", ("reader", "image", "answer", "class_answer"), rows)
        out = tmp_path / "out.json"
        arguments = ["evaluate", "turing", "--answers", path, "--key", key, "--json", out]
        monkeypatch.setattr("sys.argv", ["pathogan", *map(str, arguments), "--positive", positive])
        with pytest.raises(SystemExit) as done:
            main()
        assert done.value.code in (0, None)
        classes = json.loads(out.read_text())["ann"]["classes"]
        found = 1.0 if positive == T else 0.0
        for measures in (classes, classes["by_truth"]["real"], classes["by_truth"]["synthetic"]):
            assert measures["accuracy"] == 0.5
            assert measures["sensitivity"]["value"] == found
            assert measures["specificity"]["value"] == 1 - found
        assert classes["sensitivity"]["n"] == 6
        assert classes["by_truth"]["real"]["sensitivity"]["interval"] == pytest.approx(
            [0.025 ** (1 / 3), 1] if found else [0, 1 - 0.025 ** (1 / 3)]
        )
        assert "sensitivity (95%)" in capsys.readouterr().out

    def test_answers_with_their_truth_need_no_key(self, tmp_path):
        header = ("reader", "truth", "answer", "class_truth", "class_answer")
        row = ("ann", "real", "real", "Tumour", "tumour")
        path = written(tmp_path / "a.csv", header, [row])
        classes = judge_readers(read_answers(path))["ann"].classes
        assert classes.by_truth["real"].sensitivity.value == 1


class TestAnswerSheet:
    def test_asks_both_questions_saves_each_and_goes_on_between_them(self, session):
        sheet = AnswerSheet(session, "ann")
        assert sheet.classes == list(NAMES)
        assert sheet.record(0, "real", 1.234)
        assert (sheet.position, sheet.asks_class) == (0, True)
        assert sheet.image() == (session / "001.png").read_bytes()
        assert sheet.path.read_text().splitlines() == [
            "reader,image,answer,seconds,class_answer,class_seconds",
            "ann,001.png,real,1.23,,",
        ]
        again = AnswerSheet(session, "ann")
        assert (again.position, again.asks_class) == (0, True)
        assert again.record_class(0, N, 0.5)
        assert (again.position, again.asks_class) == (1, False)
        assert again.path.read_text().splitlines()[1:] == ["ann,001.png,real,1.23,non-tumour,0.50"]
        last = AnswerSheet(session, "ann")
        assert (last.position, last.asks_class) == (1, False)
        assert last.image() == (session / "002.png").read_bytes()

    def test_takes_each_answer_once_and_in_turn(self, session):
        sheet = AnswerSheet(session, "ann")
        assert not sheet.record_class(0, T)
        assert sheet.record(0, "real")
        assert not sheet.record(0, "synthetic")
        assert not sheet.record(1, "synthetic")
        assert not sheet.record_class(1, T)
        assert sheet.record_class(0, T)
        assert not sheet.record_class(0, N)
        assert not sheet.record(0, "synthetic")
        saved = list(csv.DictReader(sheet.path.open()))
        assert [(row["answer"], row["class_answer"]) for row in saved] == [("real", T)]

    def test_ends_after_the_last_class_and_can_be_scored(self, session):
        sheet = AnswerSheet(session, "ann")
        for position in range(12):
            assert not sheet.complete
            sheet.record(position, "synthetic")
            assert not sheet.complete
            sheet.record_class(position, T)
        assert sheet.complete
        assert sheet.image() == b""
        assert not sheet.record(12, "real")
        assert AnswerSheet(session, "ann").complete
        result = score_session(session, sheet.path)["ann"]
        assert result.says_synthetic == 1
        assert result.classes.sensitivity.value == 1
        assert result.classes.specificity.value == 0

    def test_a_failed_write_keeps_the_question(self, session, monkeypatch):
        sheet = AnswerSheet(session, "ann")
        sheet.record(0, "real")
        before = sheet.path.read_text()

        def full(_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(PathoganError, match="No space left"):
            sheet.record_class(0, T)
        assert sheet.asks_class
        assert sheet.path.read_text() == before

    def test_refuses_a_class_not_asked_for_and_an_image_passed_over(self, session, tmp_path):
        sheet = AnswerSheet(session, "ann")
        sheet.record(0, "real")
        with pytest.raises(PathoganError, match=r"image 1.*'oedema'.*'tumour' or 'non-tumour'"):
            sheet.record_class(0, "oedema")
        header = ("reader", "image", "answer", "class_answer")
        first, second = ("ann", "001.png", "real"), ("ann", "002.png", "real")
        for name, columns, rows, message in (
            ("a", header, [(*first, ""), (*second, T)], r"row 2.*follows an image without"),
            ("b", header, [(*first, "tumor")], r"row 1.*'tumor'"),
            ("c", header[:3], [first], "'class_answer' is missing"),
        ):
            path = written(tmp_path / f"{name}.csv", columns, rows)
            with pytest.raises(PathoganError, match=message):
                AnswerSheet(session, "ann", path)

    def test_a_session_of_one_question_is_read_and_written_as_ever(self, tmp_path):
        folder = export_session(
            pool("real"), pool("synthetic"), tmp_path / "s", per_class=6, seed=3
        )
        sheet = AnswerSheet(folder, "ann")
        assert sheet.record(0, "real", 2)
        assert (sheet.classes, sheet.position, sheet.asks_class) == ([], 1, False)
        assert not sheet.record_class(0, T)
        lines = ["reader,image,answer,seconds", "ann,001.png,real,2.00"]
        assert sheet.path.read_text().splitlines() == lines
        assert AnswerSheet(folder, "ann").position == 1
