"""Chapter 5's arms: what each is made of, which of them run, and how they are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_chapter4 import counted, told
from tiny_chapter5 import SPLITS, changed

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation import detection_comparison
from pathogan_core.experiments import growing, pooling
from pathogan_core.experiments.chapter5 import arms, detecting, filling, placing
from pathogan_core.experiments.chapter5.answering import answers
from pathogan_core.experiments.chapter5.arms import TABLE as ARMS
from pathogan_core.experiments.chapter5.arms import differences_to_baseline
from pathogan_core.experiments.chapter5.data import SEQUENCE, Chapter
from pathogan_core.experiments.published_table4 import load_detection
from pathogan_core.experiments.store import Run


def test_the_arms_are_those_of_table_4_in_units_of_4k() -> None:
    rows = load_detection()
    assert list(ARMS) == [row.arm for row in rows]
    for row in rows:
        arm = ARMS[row.arm]
        assert arm.units * 4000 == row.synthetic_images
        assert (arm.family or "real") == row.family


@pytest.mark.parametrize("name", ARMS)
def test_an_arm_is_all_real_slices_and_the_first_of_a_pool(chapter5: Chapter, name: str) -> None:
    sets, made_from = arms.image_sets(chapter5, ARMS[name])
    real = sets[0]
    assert real.name == "real"
    assert real.images is chapter5.training.images
    for row, own in enumerate(chapter5.training.rough):
        assert np.array_equal(real.boxes[real.rows == row], own)
    family, units = ARMS[name].family, ARMS[name].units
    if family is None:
        assert (len(sets), made_from) == (1, {})
        return
    (added,) = sets[1:]
    pool = filling.filled(chapter5, family)
    assert (added.name, len(added)) == (family, 8 * units)
    assert np.array_equal(added.images, pooling.images_of(pool)[: 8 * units])
    asked, _ = placing.asked(chapter5, 8 * units)
    for row, own in enumerate(asked):  # an image's boxes travel with it
        assert np.array_equal(added.boxes[added.rows == row], own)
    assert {entry["fingerprint"] for entry in made_from.values()} == {pool.record.run}


def test_no_slice_of_a_held_out_patient_is_in_an_arm(chapter5: Chapter) -> None:
    stored = np.load(chapter5.prepared.folder / f"{SEQUENCE}_32.npy")
    table = chapter5.prepared.table
    owner = {image.tobytes(): row for image, row in zip(stored, table["patient"], strict=True)}
    real = arms.real_set(chapter5.training)
    people = {owner[image.tobytes()] for image in real.images}
    assert people == {"ada", "ben", "cyd"}
    assert {SPLITS[name] for name in people} == {"train"}


@pytest.fixture
def two_seeds(chapter5: Chapter) -> Chapter:
    """The baseline and another arm, two seeds."""
    return changed(chapter5, arms=("real", "cpggan-normal-4k"), seeds=(0, 1))


def test_every_arm_has_a_run_of_each_seed(two_seeds: Chapter) -> None:
    found = arms.train_arms(two_seeds)
    assert list(found) == ["real", "cpggan-normal-4k"]
    for arm, runs in found.items():
        assert [run.record.seed for run in runs] == [0, 1]
        assert [run.record.setup for run in runs] == [f"arm-{arm}-seed{s}" for s in (0, 1)]
        assert {run.record.steps for run in runs} == {4}
        assert {run.record.images_seen for run in runs} == {8}
        assert len({answers(run).found.scores.tobytes() for run in runs}) == 2


def test_asking_twice_trains_nothing(two_seeds: Chapter, monkeypatch: pytest.MonkeyPatch) -> None:
    first = arms.train_arms(two_seeds)
    stored = {path: path.stat().st_mtime_ns for path in two_seeds.store.root.glob("*/*")}
    started = counted(monkeypatch, growing, detecting)
    assert arms.train_arms(two_seeds) == first
    assert started == []
    again = {path: path.stat().st_mtime_ns for path in two_seeds.store.root.glob("*/*")}
    assert again == stored


@pytest.fixture
def runs(two_seeds: Chapter) -> dict[str, list[Run]]:
    return arms.train_arms(two_seeds)


@pytest.mark.parametrize(
    ("iou", "slices", "truth"), [(0.25, "annotated", "rough"), (0.5, "all", "exact")]
)
def test_differences_are_those_of_the_stored_detections(
    runs: dict[str, list[Run]], iou: float, slices: str, truth: str
) -> None:
    found = differences_to_baseline(runs, iou=iou, slices=slices, truth=truth)
    tested = {arm: [answers(run).among(slices) for run in own] for arm, own in runs.items()}
    outcomes = {arm: [one.outcomes(truth) for one in own] for arm, own in tested.items()}
    added = {"cpggan-normal-4k": outcomes["cpggan-normal-4k"]}
    patients = tested["real"][0].patients
    assert found == detection_comparison.compare(outcomes["real"], added, patients, iou=iou)
    name = detecting.metric_name("fps_per_image", iou, slices, truth)
    means = {arm: np.mean([run.record.metrics[name]["value"] for run in own])
             for arm, own in runs.items()}  # fmt: skip
    told_difference = found["cpggan-normal-4k"]["fps_per_image"]
    assert told_difference.value == pytest.approx(means["cpggan-normal-4k"] - means["real"])
    assert told_difference.seeds == told_difference.patients == 2


def test_committed_detections_are_enough_for_a_comparison(
    runs: dict[str, list[Run]], tmp_path: Path
) -> None:
    copies: dict[str, list[Run]] = {}
    for arm, own in runs.items():
        for run in own:
            folder = tmp_path / run.record.setup
            folder.mkdir()
            content = (run.folder / detecting.DETECTIONS).read_bytes()
            (folder / detecting.DETECTIONS).write_bytes(content)
            copies.setdefault(arm, []).append(Run(folder, run.record))
    assert differences_to_baseline(copies) == differences_to_baseline(runs)


def with_other(what: str, run: Run) -> Run:
    inputs = {**run.record.inputs, what: {**run.record.inputs[what], "fingerprint": "other"}}
    return replace(run, record=replace(run.record, inputs=inputs))


@pytest.mark.parametrize(
    "change",
    [
        lambda own: own[:1],
        lambda own: own[::-1],
        lambda own: [own[0], with_other("test", own[1])],
        lambda own: [with_other("images", own[0]), own[1]],
    ],
)
def test_arms_of_other_seeds_or_real_images_are_one_line(
    runs: dict[str, list[Run]], change: Callable[[list[Run]], list[Run]]
) -> None:
    with pytest.raises(PathoganError) as refused:
        differences_to_baseline({**runs, "cpggan-normal-4k": change(runs["cpggan-normal-4k"])})
    assert "arm cpggan-normal-4k: has runs of other seeds or of other real" in told(refused)


def test_a_missing_baseline_is_one_line(runs: dict[str, list[Run]]) -> None:
    with pytest.raises(PathoganError) as refused:
        differences_to_baseline({"cpggan-normal-4k": runs["cpggan-normal-4k"]})
    assert "baseline real: is not among the arms; add it" in told(refused)
