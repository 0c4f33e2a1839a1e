"""What a record holds of a GAN's boxed slices, and what measuring anew leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_chapter5 import NORMAL_SUBJECT, changed

from pathogan_core.evaluation import box_profiles, placement, spurious
from pathogan_core.evaluation.catalogue import describe
from pathogan_core.experiments.chapter5 import measuring, placing
from pathogan_core.experiments.chapter5.data import Chapter


@pytest.mark.parametrize("gan", ["cpggan", "image-to-image"])
def test_metrics_are_those_of_images_drawn_anew(chapter5: Chapter, gan: str) -> None:
    run = measuring.measured(chapter5, gan)
    p = chapter5.parameters
    boxes, _ = placing.asked(chapter5, p.asked_images)
    images = placing.fill(run, boxes, p.seed)
    found = measuring.as_json(
        placement.placement(images, boxes, seed=p.seed)
        | box_profiles.profile(
            box_profiles.box_rings(images, boxes), np.arange(len(images)), "images", seed=p.seed
        )
    )
    assert found.items() <= run.record.metrics.items()
    threshold = run.record.metrics["spot_threshold"]["value"]
    counts = spurious.per_slice(images, boxes, threshold)[:, 0]
    assert run.record.metrics["spots"]["value"] == pytest.approx(counts.mean())
    assert run.record.measured_with["generated"] == p.asked_images


def test_real_references_leave_out_all_lesions_and_are_of_patients_and_normal_subjects(
    chapter5: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}

    def record(images: np.ndarray, asked: list, references: dict, threshold: float, **_: int):
        seen.update(references)
        return {}

    monkeypatch.setattr(spurious, "spurious", record)
    boxes, _ = placing.asked(chapter5, 2)
    measuring._spurious(chapter5, np.zeros((2, 32, 32), np.uint8), boxes)
    patients, normal = seen["patients"], seen["normal"]
    assert set(patients.patients) == set(chapter5.training.patients)
    for boxes, rough, exact in zip(
        patients.boxes, chapter5.training.rough, chapter5.training.exact, strict=True
    ):
        assert len(boxes) == len(rough) + len(exact)
    assert set(normal.patients) == {NORMAL_SUBJECT}
    assert all(len(boxes) == 0 for boxes in normal.boxes)


def test_a_changed_measure_measures_a_run_again_and_trains_none(
    chapter5: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = measuring.measured(chapter5, "cpggan").record
    weights = (measuring.measured(chapter5, "cpggan").folder / "generator.safetensors").stat()
    with monkeypatch.context() as patch:
        patch.setattr(spurious, "REVISION", spurious.REVISION + 1)
        patch.setattr(placing.cpggan, "program", None)  # training would fail
        again = measuring.measured(chapter5, "cpggan")
    assert again.record.run == before.run
    assert again.record.finished == before.finished
    assert again.record.measured_with != before.measured_with
    assert again.record.metrics == before.metrics
    assert (again.folder / "generator.safetensors").stat().st_mtime_ns == weights.st_mtime_ns
    assert measuring.measured(chapter5, "cpggan").record == before


def test_enough_images_are_held_against_those_of_test_patients(chapter5: Chapter) -> None:
    pytest.importorskip("torch_fidelity")
    assert "kid" not in measuring.measured(chapter5, "cpggan").record.metrics  # 8 images
    run = measuring.measured(changed(chapter5, asked_images=12), "cpggan")
    assert {"kid", "kid_floor", "precision", "recall", "swd_mean"} <= run.record.metrics.keys()
    held_out = run.record.measured_with["fidelity"]["held_out"]
    assert held_out == chapter5.provenance("test")


def test_real_boxes_have_the_same_profile_measures_and_the_known_truth(chapter5: Chapter) -> None:
    exact = measuring.of_real(changed(chapter5, roughness=0.0))
    rough = measuring.of_real(chapter5)
    assert {"contrast", "profile_0", "lesion_fill", "lesion_contrast"} <= rough.keys()
    # Tiny lesions are squares: exact boxes hold nothing else.
    assert exact["lesion_fill"]["value"] == pytest.approx(100)
    assert rough["lesion_fill"]["value"] < 90
    assert exact["profile_3"]["value"] > rough["profile_3"]["value"]


def test_every_new_measure_can_be_described(chapter5: Chapter) -> None:
    metrics = measuring.measured(chapter5, "cpggan").record.metrics
    named = [name for name in metrics if name.startswith("spot") or name == "border_share"]
    assert len(named) >= 11
    labels = {describe(name).label for name in named}
    assert len(labels) == len(named)
