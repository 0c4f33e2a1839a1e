"""Chapter 4's arms at several numbers of patients and of added images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_chapter4 import changed, counted, told

from pathogan_core.errors import PathoganError
from pathogan_core.experiments import growing
from pathogan_core.experiments.chapter4 import arms, classifying
from pathogan_core.experiments.chapter4.arms import differences_to_baseline, train_arm
from pathogan_core.experiments.chapter4.classifying import answers
from pathogan_core.experiments.chapter4.data import Chapter
from pathogan_core.experiments.chapter4.varying import (
    EXPERIMENTS,
    Place,
    committed_arms,
    committed_places,
    vary,
)
from pathogan_core.experiments.store import Run

PATIENTS, ADDED = EXPERIMENTS["patients"], EXPERIMENTS["added"]


@pytest.fixture
def several(chapter: Chapter) -> Chapter:
    return changed(
        chapter,
        vary_patients=(3, 0),
        vary_added=(11, 22),
        vary_arms=("real", "classic-200k", "pggan"),
        arms=("classic-munit",),
        trainings=("pretrained", "scratch"),
    )


def test_patients_are_varied_and_all_else_is_equal(several: Chapter) -> None:
    fewer, everyone = vary(changed(several, vary_arms=("real", "classic-200k")), PATIENTS)
    assert list(fewer) == list(everyone) == ["real", "classic-200k"]
    for place, count in ((fewer, 3), (everyone, 4)):
        assert [PATIENTS.x(run) for runs in place.values() for run in runs] == [count] * 2
    for arm, (run,) in fewer.items():
        other = everyone[arm][0]
        assert np.array_equal(answers(run).patients, answers(other).patients)  # tested alike
        assert run.record.config["steps"] == other.record.config["steps"]


def test_added_images_are_varied_with_one_gan(several: Chapter) -> None:
    few, many = vary(several, ADDED)
    assert [ADDED.x(few[arm][0]) for arm in few] == [0, 0.25, 0.25]  # of 44 real ones
    assert [ADDED.x(many[arm][0]) for arm in many] == [0, 0.5, 0.5]
    assert few["real"][0].folder == many["real"][0].folder
    made_from = [place["pggan"][0].record.inputs["synthetic_tumour"] for place in (few, many)]
    assert made_from[0] == made_from[1]


def test_without_the_baseline_nothing_is_trained(
    several: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = counted(monkeypatch, growing, classifying)
    with pytest.raises(PathoganError) as refused:
        vary(changed(several, vary_arms=("pggan",)), ADDED)
    assert "vary_arms: lacks the baseline; add real" in told(refused)
    assert trained == []


@pytest.fixture
def committed(chapter: Chapter) -> dict[str, Run]:
    """As study runs are named: the baseline and an arm, and variants of both experiments."""
    found: dict[str, Run] = {}
    for variant, changes in {
        "": {}, "@patients3": {"train_patients": 3}, "@added11": {"added_images": 11},
    }.items():  # fmt: skip
        there = changed(chapter, **changes)
        for arm in ("real", "classic-200k"):
            if (arm, variant) != ("real", "@added11"):
                name = f"arm-{arm}-scratch{variant}-seed0"
                found[name] = train_arm(there, arm, "scratch", 0)
    return found


def folders(places: list[Place]) -> list[dict[str, list[Path]]]:
    return [{arm: [run.folder for run in runs] for arm, runs in place.items()} for place in places]


def test_committed_variants_are_set_beside_the_runs_of_none(committed: dict[str, Run]) -> None:
    def named(*names: str) -> list[Path]:
        return [committed[f"arm-{name}-seed0"].folder for name in names]

    assert folders(committed_places(committed, "scratch", PATIENTS)) == [
        {
            "real": named("real-scratch@patients3"),
            "classic-200k": named("classic-200k-scratch@patients3"),
        },
        {"real": named("real-scratch"), "classic-200k": named("classic-200k-scratch")},
    ]
    assert folders(committed_places(committed, "scratch", ADDED)) == [
        {"real": named("real-scratch"), "classic-200k": named("classic-200k-scratch@added11")},
        {"real": named("real-scratch"), "classic-200k": named("classic-200k-scratch")},
    ]
    for experiment in EXPERIMENTS.values():
        for place in committed_places(committed, "scratch", experiment):
            assert differences_to_baseline(place)["classic-200k"]["auc"].seeds == 1


def without(runs: dict[str, Run], name: str) -> dict[str, Run]:
    return {setup: run for setup, run in runs.items() if setup != f"arm-{name}-seed0"}


def test_no_arm_is_set_beside_a_baseline_of_other_patients(committed: dict[str, Run]) -> None:
    lone = without(committed, "real-scratch@patients3")
    assert committed_places(lone, "scratch", PATIENTS) == []
    assert len(committed_places(lone, "scratch", ADDED)) == 2


def test_arms_with_a_seed_missing_wait(committed: dict[str, Run], chapter: Chapter) -> None:
    second = train_arm(chapter, "real", "scratch", 1)
    more = {**committed, "arm-real-scratch-seed1": second}
    assert list(committed_arms(more, "scratch")) == ["real"]
    assert list(committed_arms(committed, "scratch")) == ["real", "classic-200k"]
    assert committed_arms(committed, "pretrained") == {}
    assert committed_arms({}, "scratch") == {}


def test_other_set_ups_are_no_arms(committed: dict[str, Run]) -> None:
    run: Any = committed["arm-real-scratch-seed0"]
    record = replace(run.record, setup="stage-pggan-tumour")
    more = {**committed, "stage-pggan-tumour": replace(run, record=record)}
    assert committed_arms(more, "scratch") == committed_arms(committed, "scratch")
    assert arms.BASELINE in committed_arms(more, "scratch")
