"""Chapter 5's Visual Turing Tests: whose images they show, and when another one is made."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_chapter5 import changed

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.turing_session import score_session, write_csv
from pathogan_core.experiments.chapter5 import lesions, placing, reading
from pathogan_core.experiments.chapter5.data import Chapter
from pathogan_core.experiments.store import Run


def truths_of(session: Path) -> dict[bytes, str]:
    """A session's truths by the bytes of its images."""
    with (session / "key" / "key.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {np.asarray(Image.open(session / row["image"])).tobytes(): row["truth"] for row in rows}


def bytes_of(images: np.ndarray) -> set[bytes]:
    return {image.tobytes() for image in images}


@pytest.fixture(autouse=True)
def own_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of six images of each truth; the test patients have ten slices."""
    monkeypatch.setattr(reading, "TURING_IMAGES", 6)
    monkeypatch.setattr(reading, "runs_root", lambda: tmp_path)


@pytest.fixture
def run(chapter5: Chapter) -> Run:
    return placing.train_gan(chapter5, "cpggan")


def test_slices_are_of_test_patients_and_of_the_gan(chapter5: Chapter, run: Run) -> None:
    truths = truths_of(reading.turing_session(chapter5, run, "slices"))
    assert Counter(truths.values()) == {"real": 6, "synthetic": 6}
    known = {
        "real": bytes_of(chapter5.slices("test").images),
        "synthetic": bytes_of(lesions.synthetic_slices(chapter5, run, 6)[0]),
    }
    assert all(image in known[truth] for image, truth in truths.items())


def test_lesions_are_of_test_patients_and_of_the_gan(chapter5: Chapter, run: Run) -> None:
    session = reading.turing_session(chapter5, run, "lesions")
    truths = truths_of(session)
    assert Counter(truths.values()) == {"real": 6, "synthetic": 6}
    known = {
        "real": bytes_of(lesions.real_lesions(chapter5.slices("test")).images),
        "synthetic": bytes_of(lesions.synthetic_lesions(chapter5, run, 6).images),
    }
    assert all(image in known[truth] for image, truth in truths.items())
    assert Image.open(session / "001.png").size == (32, 32)


def test_too_few_test_slices_are_joined_by_others(
    chapter5: Chapter, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = bytes_of(chapter5.slices("test").images)
    monkeypatch.setattr(reading, "TURING_IMAGES", len(test) + 4)
    truths = truths_of(reading.turing_session(chapter5, run, "slices"))
    real = {image for image, truth in truths.items() if truth == "real"}
    assert len(real) == len(test) + 4
    known = {name: bytes_of(chapter5.slices(name).images) for name in ("train", "validation")}
    assert real <= test | known["train"] | known["validation"]
    assert real - test


def test_a_test_is_as_large_as_there_are_images(
    chapter5: Chapter, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = sum(len(chapter5.slices(name)) for name in ("train", "validation", "test"))
    monkeypatch.setattr(reading, "TURING_IMAGES", everything + 10)
    truths = truths_of(reading.turing_session(chapter5, run, "slices"))
    assert Counter(truths.values())["real"] == everything
    assert Counter(truths.values())["synthetic"] == everything


def test_a_test_is_made_once_and_another_for_other_images(chapter5: Chapter, run: Run) -> None:
    session = reading.turing_session(chapter5, run, "slices")
    before = {path: path.stat().st_mtime_ns for path in session.parent.rglob("*")}
    assert reading.turing_session(chapter5, run, "slices") == session
    assert {path: path.stat().st_mtime_ns for path in session.parent.rglob("*")} == before
    normal = placing.train_gan(chapter5, "cpggan-normal")
    others = [
        reading.turing_session(chapter5, run, "lesions"),
        reading.turing_session(chapter5, normal, "slices"),
        reading.turing_session(changed(chapter5, shift=0.05), run, "slices"),
        reading.turing_session(changed(chapter5, seed=1), run, "slices"),
        reading.turing_session(changed(chapter5, roughness=0.0), run, "slices"),
    ]
    assert len({session, *others}) == 6


def test_answers_to_a_test_are_scored(chapter5: Chapter, run: Run, tmp_path: Path) -> None:
    session = reading.turing_session(chapter5, run, "lesions")
    names = sorted(path.name for path in session.glob("*.png"))
    answers = tmp_path / "answers.csv"
    write_csv(answers, ("reader", "image", "answer"), [("ada", name, "real") for name in names])
    result = score_session(session, answers)["ada"]
    assert (result.accuracy, result.real_as_real, result.synthetic_as_real) == (0.5, 1, 1)


def test_a_gan_of_another_size_is_refused(chapter5: Chapter, run: Run) -> None:
    with pytest.raises(PathoganError, match="draws images of 32 px, and slices have 64"):
        lesions.synthetic_slices(changed(chapter5, image_size=64), run, 4)
