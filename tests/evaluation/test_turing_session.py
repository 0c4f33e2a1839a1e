"""Blinded sessions: nothing but the pixels tells the truth, and the key scores them."""

from __future__ import annotations

import csv
import json
import os
import struct

import numpy as np
import pytest
from PIL import Image

from pathogan_core.cli import main
from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.turing_session import export_session, read_key, score_session
from pathogan_core.evaluation.turing_sheet import AnswerSheet


def images(n, seed, low=0, high=256, shape=(12, 10)):
    return np.random.default_rng(seed).integers(low, high, (n, *shape), dtype=np.uint8)


@pytest.fixture
def real():
    """Flat backgrounds: they would compress far better than noise."""
    flat = images(9, 0, 200, 256)
    flat[:, :9] = 0
    return flat


@pytest.fixture
def synthetic():
    return images(11, 1, 0, 200)


@pytest.fixture
def session(tmp_path, real, synthetic):
    return export_session(real, synthetic, tmp_path / "session", per_class=6, seed=3)


def answer_file(path, rows):
    with path.open("w", newline="") as handle:
        csv.writer(handle).writerows([("reader", "image", "answer"), *rows])
    return path


def chunks(png):
    """Types of a PNG's chunks."""
    found, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        found.append(png[at + 4 : at + 8])
        at += 12 + length
    return found


def test_images_are_a_balanced_draw_without_repetition(session, real, synthetic):
    truths = read_key(session / "key" / "key.csv")
    assert list(truths) == [f"{i:03d}.png" for i in range(1, 13)]
    for name, pool in (("real", real), ("synthetic", synthetic)):
        shown = [
            np.asarray(Image.open(session / k)) for k, truth in truths.items() if truth == name
        ]
        matches = [
            [i for i, image in enumerate(pool) if np.array_equal(image, picture)]
            for picture in shown
        ]
        assert len(matches) == 6
        assert len({match[0] for match in matches}) == 6


def test_files_differ_in_nothing_but_pixels(session):
    paths = sorted(session.glob("*.png"))
    assert len({path.stat().st_size for path in paths}) == 1
    assert len({path.stat().st_mtime_ns for path in paths}) == 1
    assert len({path.stat().st_mode for path in paths}) == 1
    for path in paths:
        png = path.read_bytes()
        assert set(chunks(png)) == {b"IHDR", b"IDAT", b"IEND"}
        assert png[16:29] == paths[0].read_bytes()[16:29]  # size, depth, colour, filter
        with Image.open(path) as image:
            assert image.mode == "L"
            assert image.info == {}


def test_files_are_written_in_shuffled_order(session):
    paths = sorted(session.glob("*.png"), key=lambda path: path.name)
    written = [path.stat().st_ctime_ns for path in paths]
    assert written == sorted(written)


def test_what_the_reader_gets_says_nothing_about_the_truth(session):
    shown = json.loads((session / "session.json").read_text())
    assert shown["real"] == shown["synthetic"] == 6
    assert "seed" not in json.dumps(shown)  # with the seed anyone can shuffle again
    truths = list(read_key(session / "key" / "key.csv").values())
    assert truths not in (sorted(truths), sorted(truths, reverse=True))
    public = {path.name for path in session.iterdir()} - {"key"}
    assert public == {"session.json", *(f"{i:03d}.png" for i in range(1, 13))}


def test_same_seed_same_session_other_seed_other_order(tmp_path, real, synthetic, session):
    again = export_session(real, synthetic, tmp_path / "again", per_class=6, seed=3)
    other = export_session(real, synthetic, tmp_path / "other", per_class=6, seed=4)

    def content(folder):
        return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    assert content(again) == content(session)
    assert read_key(other / "key/key.csv") != read_key(session / "key/key.csv")


def test_a_place_in_the_order_is_real_about_half_the_time(tmp_path):
    first = []
    for seed in range(60):
        folder = export_session(
            images(1, 0), images(1, 1), tmp_path / str(seed), per_class=1, seed=seed
        )
        first.append(read_key(folder / "key" / "key.csv")["001.png"])
    assert 15 < first.count("real") < 45  # outside: one chance in 7,000 for a fair order


def test_window_is_a_clipped_linear_stretch(tmp_path):
    ramp = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    folder = export_session(ramp, ramp, tmp_path / "s", per_class=1, seed=0, window=(50, 150))
    shown = np.asarray(Image.open(folder / "001.png")).ravel()
    expected = np.clip((np.arange(256) - 50) * 2.55, 0, 255)
    assert np.abs(shown - expected).max() <= 0.5 + 1e-4


BAD_EXPORTS = {
    "too few real": ({"per_class": 10}, "10 real images wanted, 9 given"),
    "too few synthetic": ({"real": images(30, 0), "per_class": 12}, "12 synthetic.*11 given"),
    "none": ({"per_class": 0}, "0 real images wanted"),
    "float": ({"real": np.zeros((9, 12, 10))}, "float64"),
    "colour": ({"synthetic": np.zeros((9, 12, 10, 3), np.uint8)}, "shape"),
    "two sizes": ({"synthetic": images(9, 0, shape=(8, 8))}, "would tell them apart"),
    "no window": ({"window": (9, 9)}, "window"),
}


@pytest.mark.parametrize(("change", "message"), BAD_EXPORTS.values(), ids=BAD_EXPORTS.keys())
def test_bad_export_leaves_nothing_behind(tmp_path, real, synthetic, change, message):
    arguments = {"real": real, "synthetic": synthetic, "per_class": 6, "seed": 0, **change}
    with pytest.raises(PathoganError, match=message):
        export_session(folder=tmp_path / "s", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_full_disk_leaves_nothing_behind(tmp_path, real, synthetic, monkeypatch):
    writes = iter(range(5))

    def fsync(_):
        if next(writes, None) is None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(PathoganError, match="No space left"):
        export_session(real, synthetic, tmp_path / "s", per_class=6, seed=0)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_session_is_never_overwritten(session, real, synthetic):
    with pytest.raises(PathoganError, match="exists already"):
        export_session(real, synthetic, session, per_class=6, seed=3)


def test_a_reader_who_answers_the_key_is_always_right(tmp_path, session):
    truths = read_key(session / "key" / "key.csv")
    path = answer_file(tmp_path / "a.csv", [("ann", k, truth) for k, truth in truths.items()])
    results = score_session(session, path)
    assert results["ann"].accuracy == results["all"].accuracy == 1
    assert results["ann"].corrected
    assert not results["ann"].unbalanced


def test_a_constant_answer_scores_half_and_says_nothing(tmp_path, session):
    names = read_key(session / "key" / "key.csv")
    path = answer_file(tmp_path / "a.csv", [("bo", name, "synthetic") for name in names])
    result = score_session(session, path)["bo"]
    assert result.accuracy == 0.5
    assert result.d_prime == 0
    assert result.criterion > 0


def test_key_may_lie_elsewhere_and_stopping_early_is_noted(tmp_path, session):
    key = (session / "key" / "key.csv").rename(tmp_path / "key.csv")
    path = answer_file(tmp_path / "a.csv", [("ann", "001.png", "real"), ("ann", "002.png", "real")])
    with pytest.raises(PathoganError, match=r"key\.csv"):
        score_session(session, path)
    notes = score_session(session, path, key=key)["ann"].notes
    assert any("2 of 12" in note for note in notes)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("ann", "099.png", "real")], "row 1.*099.png.*no image"),
        ([("ann", "001.png", "real"), ("ann", "001.png", "real")], "row 2.*before"),
        ([("ann", "001.png", "true")], "row 1.*'true'"),
        ([("", "001.png", "real")], "row 1.*reader is empty"),
    ],
)
def test_answers_that_do_not_fit_the_session(tmp_path, session, rows, message):
    with pytest.raises(PathoganError, match=message):
        score_session(session, answer_file(tmp_path / "a.csv", rows))


def test_command_takes_session_answers_with_a_key(tmp_path, session, capsys, monkeypatch):
    truths = read_key(session / "key" / "key.csv")
    path = answer_file(tmp_path / "a.csv", [("ann", k, truth) for k, truth in truths.items()])
    key, out = session / "key" / "key.csv", tmp_path / "out.json"
    arguments = ["evaluate", "turing", "--answers", path, "--key", key, "--json", out]
    monkeypatch.setattr("sys.argv", ["pathogan", *map(str, arguments)])
    with pytest.raises(SystemExit) as done:
        main()
    assert done.value.code in (0, None)
    assert json.loads(out.read_text())["ann"]["accuracy"] == 1
    assert "told apart better" in capsys.readouterr().out


class TestAnswerSheet:
    def test_saves_each_answer_at_once_and_resumes(self, session):
        sheet = AnswerSheet(session, "ann")
        for said in ("real", "synthetic"):
            assert sheet.record(sheet.position, said, 1.234)
            saved = list(csv.DictReader(sheet.path.open()))
            assert saved[-1] == {
                "reader": "ann",
                "image": f"{sheet.position:03d}.png",
                "answer": said,
                "seconds": "1.23",
            }
        resumed = AnswerSheet(session, "ann")
        assert resumed.position == 2
        assert resumed.image() == (session / "003.png").read_bytes()
        assert AnswerSheet(session, "bo").position == 0

    def test_takes_an_answer_once(self, session):
        sheet = AnswerSheet(session, "ann")
        assert sheet.record(0, "real")
        assert not sheet.record(0, "synthetic")
        assert not sheet.record(5, "synthetic")
        assert sheet.position == 1

    def test_ends_after_the_last_image_and_can_be_scored(self, session):
        sheet = AnswerSheet(session, "ann")
        while not sheet.complete:
            sheet.record(sheet.position, "synthetic")
        assert sheet.image() == b""
        assert not sheet.record(sheet.position, "real")
        assert AnswerSheet(session, "ann").complete
        assert score_session(session, sheet.path)["ann"].says_synthetic == 1

    def test_works_without_the_key(self, session):
        (session / "key" / "key.csv").unlink()
        assert AnswerSheet(session, "ann").image() == (session / "001.png").read_bytes()

    def test_a_failed_write_keeps_the_reader_at_the_image(self, session, monkeypatch):
        sheet = AnswerSheet(session, "ann")
        sheet.record(0, "real")
        before = sheet.path.read_text()

        def full(_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(PathoganError, match="No space left"):
            sheet.record(1, "real")
        assert sheet.position == 1
        assert sheet.path.read_text() == before

    @pytest.mark.parametrize("reader", ["", " ", "all", "../ann", "a/b", 'a"b', "a\nb"])
    def test_refuses_names_that_cannot_name_a_file(self, session, reader):
        with pytest.raises(PathoganError, match="reader's name"):
            AnswerSheet(session, reader)

    def test_refuses_answers_of_someone_else_or_another_order(self, session, tmp_path):
        for row in (("bo", "001.png", "real"), ("ann", "002.png", "real")):
            with pytest.raises(PathoganError, match=r"row 1.*not ann's to 001\.png"):
                AnswerSheet(session, "ann", answer_file(tmp_path / "a.csv", [row]))

    def test_refuses_a_folder_that_is_no_session(self, tmp_path):
        with pytest.raises(PathoganError, match=r"session\.json"):
            AnswerSheet(tmp_path, "ann")
        (tmp_path / "session.json").write_text("[]")
        with pytest.raises(PathoganError, match="no Visual Turing Test session"):
            AnswerSheet(tmp_path, "ann")
