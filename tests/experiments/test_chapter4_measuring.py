"""Chapter 4's stages: which images are measured, against whom, and what the record says."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_chapter4 import changed

from pathogan_core.cohorts.slice_classes import CLASSES
from pathogan_core.evaluation import fidelity
from pathogan_core.experiments import pooling
from pathogan_core.experiments.chapter4 import measuring, pools, refining
from pathogan_core.experiments.chapter4.data import Chapter


def framed(images: np.ndarray) -> np.ndarray:
    return np.pad(images, ((0, 0), (2, 2), (2, 2)))


@pytest.mark.parametrize("name", CLASSES)
def test_a_stage_is_measured_on_its_classs_test_patients(chapter: Chapter, name: str) -> None:
    run = measuring.stage(chapter, "pggan", name)
    assert run.folder == pools.kept(chapter, name).folder
    expected = fidelity.measure(
        framed(pooling.images_of(run)[:20]),
        framed(chapter.classifier_images("train", name)),
        framed(chapter.classifier_images("test", name)),
        patients_train=chapter.patients("train", name),
        patients_held_out=chapter.patients("test", name),
        seed=chapter.parameters.seed,
    )
    assert run.record.metrics == {key: metric.as_json() for key, metric in expected.items()}
    assert run.record.measured_with["generated"] == 20
    assert run.record.measured_with["held_out"] == chapter.provenance("test", name)


def test_every_stage_is_what_the_arms_use_and_measured_once(
    chapter: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []
    monkeypatch.setattr(fidelity, "measure", lambda *given, **_: measured.append(given) or {})
    monkeypatch.setattr(fidelity, "REVISION", -1)
    for _ in range(2):
        runs = measuring.stages(chapter, "tumour")
    assert {kind: run.folder for kind, run in runs.items()} == {
        "pggan": pools.kept(chapter, "tumour").folder,
        "munit": refining.refined(chapter, "munit", "tumour", 1).folder,
        "simgan": refining.refined(chapter, "simgan", "tumour", 1).folder,
    }
    assert len(measured) == 3


def test_a_record_counts_the_images_there_were_not_those_asked_for(
    chapter: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(fidelity, "measure", lambda fake, *_, **__: seen.append(len(fake)) or {})
    monkeypatch.setattr(fidelity, "REVISION", -2)
    run = measuring.stage(changed(chapter, measured_images=1000), "pggan", "tumour")
    assert seen == [run.record.measured_with["generated"]] == [24]


def test_images_too_small_for_the_feature_network_get_a_rim_of_zeros() -> None:
    images = np.random.default_rng(0).integers(1, 256, (2, 60, 60), np.uint8)
    assert np.array_equal(measuring.large_enough(images), framed(images))
    large = np.pad(images, ((0, 0), (2, 3), (3, 2)))
    assert np.array_equal(measuring.large_enough(large), large)
