"""Chapter 4's arms: what each is made of, which of them run, and how they are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_chapter4 import changed, counted, told

from pathogan_core.cad.image_sets import TUMOUR
from pathogan_core.cohorts.slice_classes import CLASSES
from pathogan_core.errors import PathoganError
from pathogan_core.evaluation import classification
from pathogan_core.experiments import growing, pooling
from pathogan_core.experiments.chapter4 import arms, classifying, pools, refining
from pathogan_core.experiments.chapter4.arms import ARMS, differences_to_baseline
from pathogan_core.experiments.chapter4.classifying import answers, real_only
from pathogan_core.experiments.chapter4.data import Chapter
from pathogan_core.experiments.published_table2 import ARM_LABELS, load_arms
from pathogan_core.experiments.store import Run

UNIT = 200_000
TRAINERS = (growing, refining, classifying)


def test_the_arms_are_those_of_table_2_in_units_of_200k() -> None:
    assert list(ARMS) == list(ARM_LABELS)
    for row in load_arms():
        arm = ARMS[row.arm]
        assert arm.classic * UNIT == row.classic_images
        assert (arm.synthetic is not None) * UNIT == row.synthetic_images


@pytest.mark.parametrize("name", ARMS)
def test_an_arm_holds_its_images_in_proportion(chapter: Chapter, name: str) -> None:
    arm, unit = ARMS[name], chapter.parameters.added_images
    sets, made_from = arms.image_sets(chapter, arm)
    expected = [("real", 44, False)]  # all of the four training patients' images
    if arm.classic:
        expected.append(("classic", arm.classic * unit, True))
    if arm.synthetic:
        expected.append((arm.synthetic, unit, False))
    assert [(part.name, len(part), part.augmented) for part in sets] == expected

    for part in sets[: 1 + bool(arm.classic)]:  # the same array: held once by the device
        assert part.images is chapter.training.images
        assert part.labels is chapter.training.labels
    assert sorted(made_from) == sorted(f"synthetic_{c}" for c in CLASSES if arm.synthetic)


MADE: dict[str, Callable[[Chapter, str], Run]] = {
    "pggan": pools.kept,
    "pggan-undiscarded": pools.undiscarded,
    "munit": lambda chapter, name: refining.refined(chapter, "munit", name, 1),
    "simgan": lambda chapter, name: refining.refined(chapter, "simgan", name, 1),
}


@pytest.mark.parametrize("name", MADE)
def test_synthetic_images_are_equally_many_of_each_class(chapter: Chapter, name: str) -> None:
    chapter = changed(chapter, odd_tumour=(0,), odd_non_tumour=(1,))
    (_, synthetic), made_from = arms.image_sets(chapter, ARMS[name])
    runs = {one: MADE[name](chapter, one) for one in CLASSES}
    counts = [len(pooling.images_of(run)) for run in runs.values()]
    if name != "pggan-undiscarded":
        assert counts[0] != counts[1]  # or nothing would have to be left out
    for number, (one, run) in enumerate(runs.items()):
        own = synthetic.images[(synthetic.labels == TUMOUR) == (one == "tumour")]
        assert len(own) == min(counts)
        assert np.array_equal(own, pooling.images_of(run)[: min(counts)])
        assert made_from[f"synthetic_{CLASSES[number]}"]["fingerprint"] == run.record.run


@pytest.fixture
def both_trainings(chapter: Chapter) -> Chapter:
    """Two arms and two seeds, from scratch and from weights that are not there."""
    return changed(
        chapter, arms=("real", "pggan"), trainings=("pretrained", "scratch"), seeds=(0, 1)
    )


@pytest.mark.parametrize("file", ["", "no/such/file.pth"])
def test_without_imagenet_weights_everything_but_pretrained_arms_runs(
    both_trainings: Chapter, file: str
) -> None:
    grid = arms.train_arms(changed(both_trainings, imagenet_weights=file))
    assert set(grid.not_run) == {("real", "pretrained"), ("pggan", "pretrained")}
    for reason in grid.not_run.values():
        assert reason.startswith("needs ImageNet weights: download https://")
        assert "\n" not in reason
    assert set(grid.runs) == {("real", "scratch"), ("pggan", "scratch")}
    assert grid.of("pretrained") == {}
    for arm, runs in grid.of("scratch").items():
        assert [run.record.seed for run in runs] == [0, 1]
        assert [run.record.setup for run in runs] == [f"arm-{arm}-scratch-seed{s}" for s in (0, 1)]
        assert {run.record.steps for run in runs} == {2}
        assert len({answers(run).scores.tobytes() for run in runs}) == 2


@pytest.fixture
def untouched(both_trainings: Chapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chapter:
    """On an empty run store: whatever an arm rests on is still to be made."""
    monkeypatch.setenv("PATHOGAN_RUNS", str(tmp_path / "runs"))
    assert both_trainings.store.root == tmp_path / "runs"
    return both_trainings


def test_what_cannot_run_makes_nothing(untouched: Chapter) -> None:
    pretrained = changed(untouched, arms=tuple(ARMS), trainings=("pretrained",))
    grid = arms.train_arms(pretrained)
    assert set(grid.not_run) == {(arm, "pretrained") for arm in ARMS}
    assert grid.runs == {}
    assert not untouched.store.root.exists()


def test_another_file_of_weights_is_refused_before_anything_is_made(
    untouched: Chapter, tmp_path: Path
) -> None:
    other = tmp_path / "other.pth"
    other.write_bytes(b"other weights")
    last = changed(untouched, trainings=("scratch", "pretrained"), imagenet_weights=str(other))
    with pytest.raises(PathoganError) as refused:
        arms.train_arms(last)
    assert "other.pth: is not resnet18 IMAGENET1K_V1: its SHA-256 begins with" in told(refused)
    assert not untouched.store.root.exists()


def test_asking_twice_trains_nothing(
    both_trainings: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = arms.train_arms(both_trainings)
    stored = {path: path.stat().st_mtime_ns for path in both_trainings.store.root.glob("*/*")}
    started = counted(monkeypatch, *TRAINERS)
    assert arms.train_arms(both_trainings) == first
    assert started == []
    again = {path: path.stat().st_mtime_ns for path in both_trainings.store.root.glob("*/*")}
    assert again == stored


def test_the_baseline_is_the_judge_and_the_real_arm(
    chapter: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = pools.discarded(chapter, "tumour").record.inputs["features"]["fingerprint"]
    started = counted(monkeypatch, *TRAINERS)
    runs = [arms.train_arm(chapter, "real", "scratch", 0), real_only(chapter, "scratch", 0)]
    assert {run.record.run for run in runs} == {judge}
    assert started == []


@pytest.mark.parametrize(
    ("accuracies", "chosen"),
    [
        ({20: 0.7, 50: 0.9, 100: 0.8}, 50),
        ({20: 0.7, 50: 0.8, 100: 0.9}, 100),
        ({20: 0.7, 50: 0.9, 100: 0.9}, 50),
        ({20: 0.9, 50: 0.9, 100: 0.9}, 20),
    ],
)
@pytest.mark.parametrize("method", ["munit", "simgan"])
def test_the_best_steps_are_chosen_and_the_fewest_where_several_are(
    chapter: Chapter,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    accuracies: dict[int, float],
    chosen: int,
) -> None:
    monkeypatch.setattr(arms, "candidate_accuracies", lambda *_: accuracies)
    several = changed(chapter, **{f"{method}_steps": (100, 20, 50)})
    assert arms.chosen_steps(several, method) == chosen


def test_a_single_candidate_needs_no_classifier(
    chapter: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("asked a classifier")

    monkeypatch.setattr(arms, "candidate_accuracies", never)
    assert arms.chosen_steps(chapter, "simgan") == 1


def test_candidates_are_judged_by_the_arms_own_classifier_on_validation_patients(
    chapter: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    chapter, asked = changed(chapter, munit_steps=(2, 4)), []

    def recorded(run: Run, split: str = "test") -> classifying.Answers:
        asked.append(split)
        return answers(run, split)

    accuracies = arms.candidate_accuracies(chapter, "munit")
    started = counted(monkeypatch, *TRAINERS)
    with monkeypatch.context() as patched:
        patched.setattr(classifying, "answers", recorded)
        assert arms.candidate_accuracies(chapter, "munit") == accuracies
    assert list(accuracies) == [2, 4]
    assert asked == ["validation"] * 2  # the same chance hits both splits with so little training
    runs = {}
    for steps in accuracies:
        with monkeypatch.context() as patched:
            patched.setattr(arms, "chosen_steps", lambda *_, steps=steps: steps)
            runs[steps] = arms.train_arm(chapter, "classic-munit", "scratch", 0)
        given = answers(runs[steps], "validation")
        assert set(given.patients) == {"eva", "fay"}
        right = np.mean((given.scores >= 0.5) == (given.labels == 1))
        assert accuracies[steps] == right
    assert started == []
    assert len({run.folder for run in runs.values()}) == 2


@pytest.fixture
def runs(both_trainings: Chapter) -> dict[str, list[Run]]:
    return arms.train_arms(both_trainings).of("scratch")


def test_differences_are_those_of_the_stored_answers(runs: dict[str, list[Run]]) -> None:
    found = differences_to_baseline(runs)
    scores = {arm: np.stack([answers(run).scores for run in own]) for arm, own in runs.items()}
    held_out = answers(runs["real"][0]).held_out
    expected = classification.compare(held_out, scores["real"], {"pggan": scores["pggan"]})
    assert found == expected
    assert found["pggan"]["accuracy"].seeds == found["pggan"]["accuracy"].patients == 2
    other_way = differences_to_baseline(runs, baseline="pggan")
    assert other_way["real"]["auc"].value == pytest.approx(-found["pggan"]["auc"].value)


def with_other(what: str, run: Run) -> Run:
    inputs = {**run.record.inputs, what: {**run.record.inputs[what], "fingerprint": "other"}}
    return replace(run, record=replace(run.record, inputs=inputs))


@pytest.mark.parametrize(
    "change",
    [
        lambda own: own[:1],
        lambda own: own[::-1],
        lambda own: [own[0], own[0]],
        lambda own: [own[0], with_other("test", own[1])],
        lambda own: [with_other("images", own[0]), own[1]],
    ],
)
def test_arms_of_other_seeds_or_real_images_are_one_line(
    runs: dict[str, list[Run]], change: Callable[[list[Run]], list[Run]]
) -> None:
    with pytest.raises(PathoganError) as refused:
        differences_to_baseline({**runs, "pggan": change(runs["pggan"])})
    assert "arm pggan: has runs of other seeds or of other real images" in told(refused)


def test_a_missing_baseline_is_one_line(runs: dict[str, list[Run]]) -> None:
    with pytest.raises(PathoganError) as refused:
        differences_to_baseline({"pggan": runs["pggan"]})
    assert "baseline real: is not among the arms; add it" in told(refused)
