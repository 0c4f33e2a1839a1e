"""Chapter 5's detectors: which slices they answer for, what is measured, what makes a run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from tiny_chapter4 import counted, told
from tiny_chapter5 import LESION_SLICES, SLICES, changed

from pathogan_core.cad import yolov3
from pathogan_core.cad.anchors import anchors_of
from pathogan_core.cad.boxed_images import BoxedImages
from pathogan_core.errors import PathoganError
from pathogan_core.evaluation import detection
from pathogan_core.evaluation.detection import Detections, Truth
from pathogan_core.experiments.chapter5 import answering, arms, configurations, detecting
from pathogan_core.experiments.chapter5.answering import Answers, answers
from pathogan_core.experiments.chapter5.data import Chapter
from pathogan_core.experiments.chapter5.detecting import (
    arm_setup,
    metric_name,
    parts_of_arm_setup,
)
from pathogan_core.experiments.store import Run, RunSpec, RunStore
from pathogan_core.training.checkpoint import save_tensors


@pytest.fixture
def real(chapter5: Chapter) -> Run:
    return arms.train_arm(chapter5, "real", 0)


def test_detections_are_the_stored_networks_in_every_test_slice(
    chapter5: Chapter, real: Run
) -> None:
    test, given = chapter5.slices("test", every=True), answers(real)
    assert given.patients.tolist() == ["gil"] * SLICES + ["hal"] * SLICES
    assert len(given.annotated) <= 2 * len(LESION_SLICES) < len(given.patients)
    names = ("anchors", "test_size", "most_candidates")
    known = {name: real.record.config[name] for name in names}
    config = replace(yolov3.YOLOv3Config(), **known)
    found = yolov3.predict(detecting.load_detector(real), test.images, config)
    assert sum(len(one.scores) for one in found) == len(given.found.scores) > 0
    for number, one in enumerate(found):
        own = given.found.images == number
        # Weights in another memory format: a convolution may round otherwise. Scores are halves.
        assert given.found.boxes[own] == pytest.approx(one.boxes, abs=1e-3)
        assert given.found.scores[own] == pytest.approx(one.scores, abs=5e-4)
    for kind in detecting.TRUTHS:
        truth = given.truths[kind]
        for number, boxes in enumerate(getattr(test, kind)):
            assert np.array_equal(truth.boxes[truth.images == number], boxes)


def test_annotated_slices_are_those_that_the_chapter_calls_so(chapter5: Chapter, real: Run) -> None:
    own, every = chapter5.slices("test"), chapter5.slices("test", every=True)
    among = answers(real).among("annotated")
    assert among.patients.tolist() == own.patients.tolist()
    assert np.array_equal(every.images[answers(real).annotated], own.images)
    for kind in detecting.TRUTHS:
        truth = among.truths[kind]
        for number, boxes in enumerate(getattr(own, kind)):
            assert np.array_equal(truth.boxes[truth.images == number], boxes)


def test_slices_are_numbered_anew_in_the_same_order() -> None:
    def boxes(*lefts: float) -> np.ndarray:
        return np.array([[left, 0, left + 2, 2] for left in lefts], float)

    truths = {
        "rough": Truth(4, np.array([3, 1]), boxes(30, 10)),
        "exact": Truth(4, np.array([0, 1, 3]), boxes(0, 11, 31)),
    }
    found = Detections(np.array([3, 0, 1, 2]), boxes(32, 2, 12, 22), np.array([0.3, 0.0, 0.1, 0.2]))
    given = Answers(np.array(list("abcd")), truths, found)
    assert given.among("all") is given
    some = given.among("annotated")
    assert some.patients.tolist() == ["b", "d"]
    assert (some.truths["rough"].count, some.truths["rough"].images.tolist()) == (2, [1, 0])
    assert some.truths["exact"].images.tolist() == [0, 1]
    assert some.truths["exact"].boxes[:, 0].tolist() == [11, 31]
    assert (some.found.images.tolist(), some.found.scores.tolist()) == ([1, 0], [0.3, 0.1])
    assert some.found.boxes[:, 0].tolist() == [32, 12]


def slow_point(given: Answers, images: set[int], kind: str, iou: float) -> tuple[float, float]:
    """Sensitivity and false positives per image, with nothing but loops."""
    truth, hits, false = given.truths[kind], 0, 0
    for image in images:
        free = [tuple(b) for b, i in zip(truth.boxes, truth.images, strict=True) if i == image]
        own = np.flatnonzero(given.found.images == image)
        for number in own[np.argsort(-given.found.scores[own], kind="stable")]:
            if given.found.scores[number] < 0.001:
                continue
            overlaps = [slow_iou(given.found.boxes[number], box) for box in free]
            if overlaps and max(overlaps) >= iou:
                free.pop(int(np.argmax(overlaps)))
                hits += 1
            else:
                false += 1
    boxes = sum(int(image) in images for image in truth.images)
    return hits / boxes, false / len(images)


def slow_iou(a: Any, b: Any) -> float:
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(wide, 0) * max(high, 0)
    whole = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)) - shared
    return float(shared / whole)


@pytest.mark.parametrize("slices", detecting.SLICES)
@pytest.mark.parametrize("truth", detecting.TRUTHS)
def test_metrics_are_those_of_the_saved_detections(real: Run, slices: str, truth: str) -> None:
    given = answers(real)
    images = set(given.annotated.tolist()) if slices == "annotated" else set(range(2 * SLICES))
    for iou in detection.IOUS:
        sensitivity, false = slow_point(given, images, truth, iou)
        metrics = {
            name: real.record.metrics[metric_name(name, iou, slices, truth)]
            for name in ("sensitivity", "fps_per_image", "sensitivity_at_4_fps")
        }
        assert metrics["sensitivity"]["value"] == pytest.approx(sensitivity)
        assert metrics["fps_per_image"]["value"] == pytest.approx(false)
        assert metrics["fps_per_image"]["n"] == len(images)
        assert all("over patients" in one["interval_method"] for one in metrics.values())
        curve = detection.froc(given.among(slices).outcomes(truth), iou)
        assert metrics["sensitivity_at_4_fps"]["value"] == pytest.approx(curve.at(4).sensitivity)


def test_validation_sensitivity_at_half_an_iou_picks_the_weights(
    chapter5: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    class Stop(Exception):
        pass

    def program(config: Any, training: Any, images: np.ndarray, sensitivity: Any, *_: Any) -> None:
        asked.update(images=images, sensitivity=sensitivity)
        raise Stop

    monkeypatch.setattr(yolov3, "program", program)
    with pytest.raises(Stop):
        arms.train_arm(changed(chapter5, detector_steps=5), "real", 0)
    held_out = chapter5.slices("validation")
    assert np.array_equal(asked["images"], held_out.images)
    assert set(held_out.patients) == {"eva"}

    def found(shares: Callable[[np.ndarray], np.ndarray], score: float) -> float:
        boxes = [shares(own) for own in held_out.rough]
        scores = [np.full(len(own), score) for own in boxes]
        listed = zip(boxes, scores, strict=True)
        return asked["sensitivity"]([yolov3.Detections(*both) for both in listed])

    def narrowed(share: float) -> Callable[[np.ndarray], np.ndarray]:
        def narrow(boxes: np.ndarray) -> np.ndarray:
            cut = boxes.copy()
            cut[:, 2] = boxes[:, 0] + share * (boxes[:, 2] - boxes[:, 0])
            return cut

        return narrow

    assert found(narrowed(1.0), 0.001) == 1.0
    assert found(narrowed(0.55), 0.9) == 1.0
    assert found(narrowed(0.45), 0.9) == 0.0
    assert found(narrowed(1.0), 0.0009) == 0.0
    assert found(lambda boxes: boxes[:0], 0.9) == 0.0


def test_anchors_are_those_of_an_arms_own_boxes_at_the_training_size(chapter5: Chapter) -> None:
    sets, _ = arms.image_sets(chapter5, arms.TABLE["cpggan-4k"])
    boxes = np.concatenate([part.boxes for part in sets])
    several = changed(chapter5, detector_sizes=(32, 64))
    assert detecting.arm_anchors(chapter5, sets) == anchors_of(boxes)
    assert detecting.arm_anchors(several, sets) == anchors_of(boxes, scale=1.5)
    alone = detecting.arm_anchors(chapter5, sets[:1])
    assert alone != detecting.arm_anchors(chapter5, sets)


@pytest.fixture
def identity(chapter5: Chapter, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What a detector's run would be called, without training it."""

    def asked(
        changes: dict[str, Any], change_set: Callable[[BoxedImages], BoxedImages], seed: int
    ) -> str:
        own = changed(chapter5, **changes)
        with monkeypatch.context() as patched:
            specs: list[RunSpec] = []
            patched.setattr(RunStore, "train_or_load", lambda _, spec, run: specs.append(spec))
            patched.setattr(RunStore, "measured", lambda *_: None)
            sets = [change_set(arms.real_set(own.training))]
            detecting.train_detector(own, "any name", sets, {}, seed)
        return specs[0].folder_name

    return asked


def as_it_is(images: BoxedImages) -> BoxedImages:
    return images


def test_whatever_changes_a_detector_makes_another_run(
    real: Run, identity: Callable[..., str]
) -> None:
    assert identity({"scale": "study", "bf16": False}, as_it_is, 0) == real.folder.name
    others = [
        identity({}, as_it_is, 1),
        identity({}, lambda images: replace(images, count=7), 0),
        identity({}, lambda images: replace(images, name="cpggan"), 0),
        identity({"detector_steps": 5}, as_it_is, 0),
        identity({"detector_rate": 0.1}, as_it_is, 0),
        identity({"detector_sizes": (64,)}, as_it_is, 0),
        identity({"detector_test_size": 64}, as_it_is, 0),
        identity({"detector_loss": "bce"}, as_it_is, 0),
        identity({"detector_candidates": 9}, as_it_is, 0),
        identity({"detector_width": 0.1}, as_it_is, 0),
        identity({"detector_batch": 3}, as_it_is, 0),
        identity({"select_from": 3}, as_it_is, 0),
        identity({"validate_every": 1}, as_it_is, 0),
        identity({"roughness": 0.0}, as_it_is, 0),
        identity({"annotation_seed": 1}, as_it_is, 0),
        identity({"train_patients": 2}, as_it_is, 0),
    ]
    assert len({real.folder.name, *others}) == len(others) + 1


def test_a_new_measure_does_not_train_again(
    chapter5: Chapter, real: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = counted(monkeypatch, detecting)
    with monkeypatch.context() as patched:
        patched.setattr(detecting, "REVISION", -1)
        patched.setattr(detecting.detection_comparison, "measure", lambda *_, **__: {})
        again = arms.train_arm(chapter5, "real", 0)
        assert (again.folder, again.record.metrics) == (real.folder, {})
    assert arms.train_arm(chapter5, "real", 0).record.metrics == real.record.metrics
    assert started == []


def test_a_damaged_file_of_detections_is_one_line(real: Run, tmp_path: Path) -> None:
    shutil.copyfile(real.folder / detecting.DETECTIONS, tmp_path / detecting.DETECTIONS)
    moved = replace(real, folder=tmp_path)
    assert len(answers(moved).patients) == 2 * SLICES
    content = (tmp_path / detecting.DETECTIONS).read_bytes()
    (tmp_path / detecting.DETECTIONS).write_bytes(content[:-8])
    with pytest.raises(PathoganError) as refused:
        answers(moved)
    assert "detections.safetensors: is not a readable safetensors file" in told(refused)


def test_detections_of_an_earlier_version_are_one_line(real: Run, tmp_path: Path) -> None:
    tensors, header = real.load_tensors(answering.DETECTIONS)
    tensors["found/images"] = tensors.pop("found/counts")
    save_tensors(tmp_path / answering.DETECTIONS, tensors, header)
    with pytest.raises(PathoganError) as refused:
        answers(replace(real, folder=tmp_path))
    assert "detections.safetensors: was written by an earlier version; delete" in told(refused)


def test_all_arms_have_one_configuration_but_for_their_anchors(chapter5: Chapter) -> None:
    runs = [arms.train_arm(chapter5, arm, 0) for arm in ("real", "cpggan-4k")]
    one, other = (dict(run.record.config) for run in runs)
    differing = {name for name in one if one[name] != other[name]}
    assert differing == {"anchors", "sets"}
    assert other["sets"] == [["real", len(chapter5.training)], ["cpggan", 8]]
    detector = configurations.detector(chapter5.parameters)
    assert [one["select_from"], one["steps"]] == [detector.select_from, 4]


@pytest.mark.parametrize("arm", ["real", "cpggan-4k", "cpggan-normal-12k"])
def test_the_name_of_an_arms_run_is_read_as_it_is_written(arm: str) -> None:
    assert parts_of_arm_setup(arm_setup(arm, 12)) == (arm, 12)


@pytest.mark.parametrize("name", ["cpggan-64", "arm-real", "arm-seed0", "pool-cpggan"])
def test_other_names_are_no_arms(name: str) -> None:
    assert parts_of_arm_setup(name) is None


def test_a_committed_run_holds_the_annotated_slices_in_little_space(
    chapter5: Chapter, real: Run, tmp_path: Path
) -> None:
    given, side = answers(real), chapter5.parameters.image_size
    committed = given.among("annotated")
    (tmp_path / answering.DETECTIONS).write_bytes(answering.packed(committed, side))
    again = answers(replace(real, folder=tmp_path))
    assert again.among("annotated") is again
    assert again.patients.tolist() == committed.patients.tolist()
    assert np.array_equal(again.found.images, committed.found.images)
    assert np.array_equal(again.found.scores, committed.found.scores)
    assert again.found.boxes == pytest.approx(committed.found.boxes, abs=2 * side / answering.TICKS)
    for kind in answering.TRUTHS:
        assert np.array_equal(again.truths[kind].boxes, committed.truths[kind].boxes)
    with pytest.raises(PathoganError) as refused:
        again.among("all")
    assert "holds the annotated test slices only" in told(refused)


def test_packed_boxes_only_ever_widen_and_stay_in_the_image() -> None:
    side = 64
    boxes = np.array([[0, 0, 64, 64], [63.9999, 0, 64, 1e-9], [10.1, 20.2, 30.3, 40.4]], float)
    none = Truth(2, np.empty(0, int), np.empty((0, 4)))
    found = Detections(np.array([0, 0, 1]), boxes, np.array([1.0, 0.001, 0.5]))
    given = Answers(np.array(["a", "b"]), dict.fromkeys(answering.TRUTHS, none), found)
    read = safetensors.numpy.load(answering.packed(given, side))
    kept = read["found/boxes"].astype(float) * side / answering.TICKS
    assert (kept[:, :2] <= boxes[:, :2] + 1e-9).all()
    assert (kept[:, 2:] >= boxes[:, 2:] - 1e-9).all()
    assert np.abs(kept - boxes).max() <= side / answering.TICKS
    assert kept.min() >= 0
    assert kept.max() <= side
    assert (kept[:, 2:] > kept[:, :2]).all()
    assert (read["found/scores"].astype(float) >= 0.001).all()  # none falls below the threshold
