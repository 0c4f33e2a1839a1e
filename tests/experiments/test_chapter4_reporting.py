"""What chapter 4's page shows beyond records: whose images, whose answers, how wide brains are."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_chapter4 import changed, origins

from pathogan_core.cohorts.slice_classes import CLASSES
from pathogan_core.evaluation import classification
from pathogan_core.experiments import pooling
from pathogan_core.experiments.chapter4 import measuring, reporting
from pathogan_core.experiments.chapter4.classifying import Answers
from pathogan_core.experiments.chapter4.data import Chapter
from pathogan_core.experiments.published_table2 import load_arms

LABELS = np.array([1, 1, 0, 0])
PATIENTS = np.array(["gil", "hal", "gil", "hal"])
SCORES = {
    "real, first": [0.9, 0.1, 0.1, 0.2],
    "real, second": [0.9, 0.6, 0.7, 0.2],
    "munit, first": [0.9, 0.9, 0.2, 0.2],
    "munit, second": [0.1, 0.2, 0.8, 0.9],
}


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """Two arms whose runs have known answers, the baseline last."""
    monkeypatch.setattr(
        reporting.classifying,
        "answers",
        lambda run: Answers(LABELS, PATIENTS, np.array(SCORES[run])),
    )
    return {arm: [run for run in SCORES if run.startswith(arm)] for arm in ("munit", "real")}


def test_an_arms_measures_are_means_over_its_seeds(answered: dict[str, list[Any]]) -> None:
    munit, real = reporting.tested_arms(answered, "scratch")
    assert (munit.arm, munit.seeds, real.arm, real.seeds) == ("munit", 2, "real", 2)
    for arm, accuracy, sensitivity, specificity in (
        (real, (3 / 4 + 3 / 4) / 2, (1 / 2 + 1) / 2, (1 + 1 / 2) / 2),
        (munit, (1 + 0) / 2, (1 + 0) / 2, (1 + 0) / 2),
    ):
        assert arm.accuracy.value == accuracy
        assert arm.sensitivity.value == sensitivity
        assert arm.specificity.value == specificity
        assert arm.accuracy.interval is not None


def test_an_arm_without_further_seeds_has_the_measures_of_its_run(
    answered: dict[str, list[Any]],
) -> None:
    (real,) = reporting.tested_arms({"real": answered["real"][:1]}, "pretrained")
    held_out = classification.HeldOut(LABELS, PATIENTS)
    expected = classification.measure(held_out, np.array(SCORES["real, first"]))
    assert (real.metrics, real.seeds) == (expected, 1)


def test_arms_are_called_and_numbered_as_in_table_2(answered: dict[str, list[Any]]) -> None:
    printed = [row for row in load_arms() if row.training == "scratch"]
    for arm in reporting.tested_arms(answered, "scratch"):
        (place,) = [n for n, row in enumerate(printed, start=1) if row.arm == arm.arm]
        assert arm.short == str(place)
        assert (arm.label, arm.group) == {
            "real": ("real only", "from scratch"),
            "munit": ("MUNIT", "from scratch"),
        }[arm.arm]


def slow_nearest(image: np.ndarray, among: np.ndarray) -> np.ndarray:
    """By the squares of differences between means of 2 x 2 px, in a frame of 64 px."""

    def halved(one: np.ndarray) -> np.ndarray:
        return np.pad(one.astype(float), 2).reshape(32, 2, 32, 2).mean((1, 3))

    distances = [np.square(halved(image) - halved(other)).sum() for other in among]
    return among[int(np.argmin(distances))]


@pytest.mark.parametrize("name", CLASSES)
def test_the_nearest_image_is_one_of_the_classs_training_images(
    chapter: Chapter, name: str
) -> None:
    real, noise = chapter.classifier_images("train", name), np.random.default_rng(0)
    shuffled = real[noise.permutation(len(real))]
    blurred = np.clip(shuffled + noise.integers(-9, 10, real.shape), 0, 255).astype(np.uint8)
    assert np.array_equal(reporting.nearest_real(chapter, name, blurred), shuffled)

    others = chapter.classifier_images("test", name)
    found = reporting.nearest_real(chapter, name, others)
    assert np.array_equal(found, [slow_nearest(image, real) for image in others])


def test_an_image_is_followed_through_every_stage(chapter: Chapter) -> None:
    followed = reporting.followed(chapter, "tumour", 3)
    assert len(followed) == 3
    real = chapter.classifier_images("train", "tumour")
    for number, shown in enumerate(followed):
        assert set(shown) == {"pggan", "munit", "simgan", "nearest"}
        for kind in measuring.STAGES:
            pool = pooling.images_of(measuring.stage(chapter, kind, "tumour"))
            assert np.array_equal(shown[kind], pool[number])
        assert np.array_equal(shown["nearest"], slow_nearest(shown["pggan"], real))


def key_of(session: Path) -> dict[bytes, dict[str, str]]:
    """A session's truths by the bytes of its images."""
    with (session / "key" / "key.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {np.asarray(Image.open(session / row["image"])).tobytes(): row for row in rows}


@pytest.fixture
def small_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 20 images of each truth; the test patients have 10 with a tumour, and 12 without."""
    monkeypatch.setattr(reporting, "TURING_IMAGES", 20)
    monkeypatch.setattr(reporting, "runs_root", lambda: tmp_path)


@pytest.mark.usefixtures("small_sessions")
@pytest.mark.parametrize("kind", ["pggan", "simgan"])
def test_a_session_shows_test_patients_and_a_stages_images(chapter: Chapter, kind: str) -> None:
    key = key_of(reporting.turing_session(chapter, kind))
    asked = Counter((row["truth"], row["class_truth"]) for row in key.values())
    assert sorted(asked.values()) == [10] * 4

    rows = origins(chapter.prepared.folder)
    for image, told in key.items():
        if told["truth"] == "real":
            tumour = rows[image]["enhancing_voxels"] > 0
            assert rows[image]["split"] == "test"
            assert told["class_truth"] == ("tumour" if tumour else "non-tumour")
        else:
            name = told["class_truth"].replace("-", "_")
            pool = pooling.images_of(measuring.stage(chapter, kind, name))
            assert image in {one.tobytes() for one in pool}


@pytest.mark.usefixtures("small_sessions")
def test_a_class_with_too_few_test_images_is_shown_from_all_patients(
    chapter: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "TURING_IMAGES", 24)
    key, rows = key_of(reporting.turing_session(chapter, "pggan")), origins(chapter.prepared.folder)
    splits: dict[str, Counter[str]] = {"tumour": Counter(), "non-tumour": Counter()}
    for image, told in key.items():
        if told["truth"] == "real":
            splits[told["class_truth"]][rows[image]["split"]] += 1
    assert splits["non-tumour"] == {"test": 12}
    assert splits["tumour"].total() == 12
    assert splits["tumour"]["test"] < 12


@pytest.mark.usefixtures("small_sessions")
def test_a_session_is_made_once_and_another_for_other_images(chapter: Chapter) -> None:
    session = reporting.turing_session(chapter, "pggan")
    before = {path: path.stat().st_mtime_ns for path in session.parent.rglob("*")}
    assert reporting.turing_session(chapter, "pggan") == session
    assert {path: path.stat().st_mtime_ns for path in session.parent.rglob("*")} == before
    others = [
        reporting.turing_session(chapter, "munit"),
        reporting.turing_session(changed(chapter, odd_tumour=(0,)), "pggan"),
    ]
    assert len({session, *others}) == 3


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("crop_first", [True, False])
def test_brains_are_as_wide_as_real_ones_only_where_the_frame_is_cut_off_first(
    chapter: Chapter, name: str, crop_first: bool
) -> None:
    widths = reporting.brain_widths(changed(chapter, crop_first=crop_first), name)
    assert set(widths) == {True, False}
    assert widths[True] == 1
    assert widths[False] == pytest.approx(240 / 256, rel=2e-3)
