"""What chapter 5's page shows of the arms: curves, committed arms, lesions one of them finds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_chapter5 import SIZE, changed

from pathogan_core.evaluation import detection
from pathogan_core.evaluation.detection import Detections
from pathogan_core.experiments.chapter5 import answering, arms, detecting, showing
from pathogan_core.experiments.chapter5.data import Chapter
from pathogan_core.experiments.store import Run


@pytest.fixture
def real(chapter5: Chapter) -> Run:
    return arms.train_arm(chapter5, "real", 0)


def finding(
    run: Run, folder: Path, boxes: np.ndarray, images: list[int], scores: list[float]
) -> Run:
    """The run with other detections."""
    folder.mkdir()
    given, order = answering.answers(run), np.argsort(images, kind="stable")
    held = [np.asarray(part, float)[order] for part in (np.reshape(boxes, (-1, 4)), scores)]
    found = Detections(np.asarray(images)[order], *held)
    packed = answering.packed(replace(given, found=found), SIZE)
    (folder / answering.DETECTIONS).write_bytes(packed)
    return Run(folder, run.record)


def test_lesions_that_only_an_arm_finds_are_marked_at_equal_false_positives(
    real: Run, tmp_path: Path
) -> None:
    given = detecting.answers(real)
    truth = given.truths["rough"]
    first, second = (int(image) for image in given.annotated[:2])
    boxes = [truth.boxes[truth.images == image][0] for image in (first, second)]
    wrong = np.array([0, 0, 1, 1])
    # The baseline ranks its second hit below as many false positives as there are slices, and one.
    many = len(given.annotated) + 1
    baseline = finding(
        real, tmp_path / "real", np.stack([boxes[0], *[wrong] * many, boxes[1]]),
        [first, *[first] * many, second], [0.9, *[0.5] * many, 0.1],
    )  # fmt: skip
    other = finding(
        real, tmp_path / "other", np.stack([boxes[0], boxes[1], wrong]), [first, second, second],
        [0.03, 0.02, 0.01],
    )  # fmt: skip
    seen = showing.shown({"real": baseline, "cpggan-4k": other}, fps=1)
    assert [len(some) for some in seen["real"].only_here] == [0] * len(given.annotated)
    assert [len(some) for some in seen["real"].found[:2]] == [1, 0]
    marked = seen["cpggan-4k"].only_here
    assert [len(some) for some in marked] == [0, 1] + [0] * (len(given.annotated) - 2)
    assert np.array_equal(marked[1][0], boxes[1])
    assert [len(some) for some in seen["cpggan-4k"].found[:2]] == [1, 2]


def test_a_detector_that_is_wrong_first_shows_nothing(real: Run, tmp_path: Path) -> None:
    given = detecting.answers(real)
    many = 1 + len(given.annotated)
    image = int(given.annotated[0])
    wrong = np.tile([0.0, 0, 1, 1], (many, 1))
    run = finding(real, tmp_path / "wrong", wrong, [image] * many, [0.5] * many)
    seen = showing.shown({"real": run}, fps=1)["real"]
    assert sum(map(len, seen.found)) == 0


def test_slices_and_their_boxes_belong_together(
    chapter5: Chapter, real: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(showing, "SPREAD", 3)
    test = chapter5.slices("test")
    chosen = showing.spread(len(test))
    assert chosen.tolist() == [0, (len(test) - 1) // 2, len(test) - 1]
    assert np.array_equal(showing.spread_images(chapter5), test.images[chosen])
    for boxes, number in zip(showing.truth_in_spread(real), chosen, strict=True):
        assert np.array_equal(boxes, test.rough[number])


def test_few_slices_are_all_shown() -> None:
    assert showing.spread(5).tolist() == [0, 1, 2, 3, 4]


def test_curves_are_those_of_each_run(chapter5: Chapter) -> None:
    runs = arms.train_arms(changed(chapter5, arms=("real",), seeds=(0, 1)))
    found = arms.curves(runs, iou=0.25, slices="all", truth="exact")
    for run, curve in zip(runs["real"], found["real"], strict=True):
        expected = detection.froc(detecting.answers(run).outcomes("exact"), 0.25)
        assert np.array_equal(curve.sensitivity, expected.sensitivity)
        assert np.array_equal(curve.fps_per_image, expected.fps_per_image)


def test_committed_arms_have_the_baselines_seeds_and_are_no_variants(real: Run) -> None:
    def named(*setups: str) -> dict[str, Run]:
        return {setup: Run(Path(setup), real.record) for setup in setups}

    study = named(
        "arm-cpggan-4k-seed1", "arm-cpggan-4k-seed0", "arm-cpggan-normal-4k-seed0",
        "arm-real-seed1", "arm-real-seed0", "arm-real@patients16-seed0", "cpggan-64",
    )  # fmt: skip
    found = {
        arm: [run.folder.name for run in own] for arm, own in arms.committed_arms(study).items()
    }
    assert found == {
        "real": ["arm-real-seed0", "arm-real-seed1"],
        "cpggan-4k": ["arm-cpggan-4k-seed0", "arm-cpggan-4k-seed1"],
    }
    assert arms.committed_arms(named("arm-cpggan-4k-seed0", "cpggan-64")) == {}
