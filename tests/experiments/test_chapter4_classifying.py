"""Chapter 4's classifiers: whose images they answer for, what is measured, what makes a run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_chapter4 import changed, counted, origins, told

from pathogan_core.cad import resnet50
from pathogan_core.cad.image_sets import ImageSet
from pathogan_core.errors import PathoganError
from pathogan_core.evaluation import classification
from pathogan_core.evaluation.classification import HeldOut
from pathogan_core.experiments.chapter4 import classifying, configurations
from pathogan_core.experiments.chapter4.classifying import (
    Answers,
    arm_setup,
    parts_of_arm_setup,
    real_only,
)
from pathogan_core.experiments.chapter4.data import Chapter
from pathogan_core.experiments.store import Run, RunSpec, RunStore


@pytest.fixture
def real(chapter: Chapter) -> Run:
    return real_only(chapter, "scratch", 0)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_answers_are_the_stored_networks_to_each_patients_images(
    chapter: Chapter, real: Run, split: str
) -> None:
    rows = origins(chapter.prepared.folder)
    images = {key: row for key, row in rows.items() if row["split"] == split}
    used = [key for key, row in images.items() if not row["oedema_voxels"]]
    tumour_first = sorted(used, key=lambda key: not images[key]["enhancing_voxels"])
    shown = np.stack([np.frombuffer(key, np.uint8).reshape(60, 60) for key in tumour_first])

    answers = classifying.answers(real, split)
    assert answers.patients.tolist() == [images[key]["patient"] for key in tumour_first]
    assert answers.labels.tolist() == [images[key]["enhancing_voxels"] > 0 for key in tumour_first]
    predicted = resnet50.predict(classifying.load_classifier(real), shown)
    assert np.array_equal(answers.scores, predicted)
    assert len(np.unique(predicted)) == len(predicted)


def test_metrics_are_those_of_the_test_images(chapter: Chapter, real: Run) -> None:
    answers = classifying.answers(real)
    held_out = HeldOut(answers.labels, answers.patients)
    measured = classification.measure(held_out, answers.scores)
    assert real.record.metrics == {name: one.as_json() for name, one in measured.items()}
    assert real.record.measured_with["held_out"] == chapter.provenance("test")
    accuracy = np.mean((answers.scores >= 0.5) == answers.labels)
    assert answers.accuracy == accuracy == real.record.metrics["accuracy"]["value"]


def test_accuracy_counts_both_ways_of_being_right() -> None:
    labels, patients = np.array([1, 1, 0, 0]), np.array(list("aabb"))
    scores = np.array([0.5, 0.4, 0.4, 0.9])
    assert Answers(labels, patients, scores).accuracy == 0.5
    assert Answers(labels, patients, 1 - scores).accuracy == 0.75


def test_a_new_measure_does_not_train_again(
    chapter: Chapter, real: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = counted(monkeypatch, classifying)
    with monkeypatch.context() as patched:
        patched.setattr(classification, "REVISION", -1)
        patched.setattr(classification, "measure", lambda *_: {})
        again = real_only(chapter, "scratch", 0)
        assert (again.folder, again.record.metrics) == (real.folder, {})
    assert real_only(chapter, "scratch", 0).record.metrics == real.record.metrics
    assert started == []


@pytest.fixture
def identity(chapter: Chapter, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What a classifier's run would be called, without training it."""

    def asked(
        changes: dict[str, Any], change_set: Callable[[ImageSet], ImageSet], *how: Any
    ) -> str:
        own = changed(chapter, **changes)
        with monkeypatch.context() as patched:
            specs: list[RunSpec] = []
            patched.setattr(RunStore, "train_or_load", lambda _, spec, run: specs.append(spec))
            patched.setattr(RunStore, "measured", lambda *_: None)
            classifying.train_classifier(own, "any name", [change_set(own.training)], {}, *how)
        return specs[0].folder_name

    return asked


def as_it_is(images: ImageSet) -> ImageSet:
    return images


def test_whatever_changes_a_classifier_makes_another_run(
    real: Run, identity: Callable[..., str]
) -> None:
    assert identity({"scale": "study"}, as_it_is, "scratch", 0) == real.folder.name
    others = [
        identity({}, as_it_is, "scratch", 1),
        identity({}, as_it_is, "pretrained", 0),
        identity({}, lambda images: replace(images, augmented=True), "scratch", 0),
        identity({}, lambda images: replace(images, count=7), "scratch", 0),
        identity({}, lambda images: replace(images, name="munit"), "scratch", 0),
        identity({"epochs": 2}, as_it_is, "scratch", 0),
        identity({"gan_size": 128}, as_it_is, "scratch", 0),  # shrunk from 120 px: other rounding
        identity({"classifier_size": 32}, as_it_is, "scratch", 0),
        identity({"classifier_rate": 1.0}, as_it_is, "scratch", 0),
        identity({"train_patients": 2}, as_it_is, "scratch", 0),
        identity({"tumour_voxels": 41}, as_it_is, "scratch", 0),
    ]
    assert len({real.folder.name, *others}) == len(others) + 1


def test_equal_steps_for_all_arms_or_the_thesis_epochs(chapter: Chapter) -> None:
    equal = configurations.classifier(chapter.parameters, "scratch")
    assert equal.steps_per_epoch(44) == equal.steps_per_epoch(200_044) == 2
    by_epoch = configurations.classifier(replace(chapter.parameters, epoch_steps=0), "scratch")
    assert [by_epoch.steps_per_epoch(images) for images in (44, 200_044)] == [6, 25_006]


def test_a_damaged_file_of_answers_is_one_line(real: Run, tmp_path: Path) -> None:
    shutil.copyfile(real.folder / classifying.SCORES, tmp_path / classifying.SCORES)
    moved = replace(real, folder=tmp_path)
    assert len(classifying.answers(moved).scores) == 22
    content = (tmp_path / classifying.SCORES).read_bytes()
    (tmp_path / classifying.SCORES).write_bytes(content[:-8])
    with pytest.raises(PathoganError) as refused:
        classifying.answers(moved)
    assert "scores.safetensors: is not a readable safetensors file" in told(refused)


@pytest.mark.parametrize("arm", ["real", "classic-200k", "pggan-undiscarded"])
@pytest.mark.parametrize("training", ["scratch", "pretrained"])
def test_the_name_of_an_arms_run_is_read_as_it_is_written(arm: str, training: str) -> None:
    assert parts_of_arm_setup(arm_setup(arm, training, 12)) == (arm, training, 12)


@pytest.mark.parametrize("name", ["stage-pggan-tumour", "arm-real-scratch", "arm-seed0"])
def test_other_names_are_no_arms(name: str) -> None:
    assert parts_of_arm_setup(name) is None
