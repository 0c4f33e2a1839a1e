"""Chapter 5's arms at several roughnesses of the boxes and numbers of patients."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from tiny_chapter4 import counted, told
from tiny_chapter5 import SIZE, changed

from pathogan_core.cohorts.rough_boxes import annotate_slices
from pathogan_core.errors import PathoganError
from pathogan_core.evaluation import detection_comparison
from pathogan_core.evaluation.detection import Detections
from pathogan_core.experiments import growing
from pathogan_core.experiments.chapter5 import arms, detecting
from pathogan_core.experiments.chapter5.answering import DETECTIONS, SLICES, answers, packed
from pathogan_core.experiments.chapter5.arms import train_arm
from pathogan_core.experiments.chapter5.data import Chapter
from pathogan_core.experiments.chapter5.detecting import parts_of_arm_setup
from pathogan_core.experiments.chapter5.varying import (
    EXPERIMENTS,
    MEASURES,
    STUDY_ROUGHNESS,
    committed_places,
    gains,
    vary,
)
from pathogan_core.experiments.committed import split_variant
from pathogan_core.experiments.store import Run
from pathogan_core.places import project_root, results_root

ROUGHNESS, PATIENTS = EXPERIMENTS["roughness"], EXPERIMENTS["patients"]


@pytest.fixture
def several(chapter5: Chapter) -> Chapter:
    return changed(
        chapter5,
        vary_roughness=(2.0, 0.0),
        vary_patients=(0, 2),
        vary_arms=("real", "cpggan-4k"),
        arms=("cpggan-normal-4k",),
    )


def test_roughness_is_varied_and_all_else_is_equal(several: Chapter) -> None:
    places = vary(several, ROUGHNESS)
    assert list(places) == [0.0, 2.0]
    for value, place in places.items():
        assert list(place) == ["real", "cpggan-4k"]
        there = changed(several, roughness=value)
        for arm, (run,) in place.items():
            assert run.folder == train_arm(there, arm, 0).folder
            given, test = answers(run), there.slices("test", every=True)
            for kind in ("rough", "exact"):
                assert np.allclose(given.truths[kind].boxes, np.concatenate(getattr(test, kind)))
    exact, rough = (places[value]["real"][0] for value in (0.0, 2.0))
    assert exact.record.config["steps"] == rough.record.config["steps"]
    boxes = [answers(exact).truths[kind].boxes for kind in ("rough", "exact")]
    assert np.array_equal(*boxes)
    assert not np.array_equal(answers(rough).truths["rough"].boxes, boxes[1])


def test_all_slices_and_exact_boxes_are_the_same_at_every_roughness(several: Chapter) -> None:
    """So that this is one test for all values; the annotated slices are another at each."""
    low, high = (answers(place["real"][0]) for place in vary(several, ROUGHNESS).values())
    assert np.array_equal(low.patients, high.patients)
    assert np.array_equal(low.truths["exact"].images, high.truths["exact"].images)
    assert np.array_equal(low.truths["exact"].boxes, high.truths["exact"].boxes)
    assert set(high.annotated) <= set(low.annotated)


def test_what_is_annotated_at_one_roughness_is_so_at_every_lower_one() -> None:
    rng = np.random.default_rng(0)
    slices, patients = list(range(400)), [f"p{number % 40}" for number in range(400)]
    exact = []
    for count in rng.integers(0, 4, 400):
        corners, sides = rng.uniform(0, 200, (count, 2)), rng.uniform(1, 12, (count, 2))
        exact.append(np.concatenate([corners, corners + sides], axis=1))
    annotated = []
    for roughness in (0, 0.5, 1, 2):
        drawn = annotate_slices(exact, patients, slices, 0, roughness, 256)
        annotated.append({number for number, (boxes, _) in enumerate(drawn) if len(boxes)})
    assert annotated[0] == {number for number, boxes in enumerate(exact) if len(boxes)}
    for more, fewer in pairwise(annotated):
        assert fewer < more


def test_patients_are_varied_and_tested_alike(several: Chapter) -> None:
    places = vary(several, PATIENTS)
    assert list(places) == [2, 3]  # 0: all three
    few, many = (answers(place["cpggan-4k"][0]) for place in places.values())
    for kind in ("rough", "exact"):
        assert np.array_equal(few.truths[kind].boxes, many.truths[kind].boxes)
    assert np.array_equal(few.patients, many.patients)


def test_without_the_baseline_nothing_is_trained(
    several: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = counted(monkeypatch, growing, detecting)
    with pytest.raises(PathoganError) as refused:
        vary(changed(several, vary_arms=("cpggan-4k",)), ROUGHNESS)
    assert "vary_arms: lacks the baseline; add real" in told(refused)
    assert trained == []


def test_where_nothing_is_varied_there_is_no_place(several: Chapter) -> None:
    nowhere = changed(several, vary_roughness=(), vary_patients=())
    assert [vary(nowhere, experiment) for experiment in EXPERIMENTS.values()] == [{}, {}]
    assert gains({}) == []


@pytest.mark.parametrize("iou", [0.25, 0.5])
def test_gains_are_differences_within_a_value_against_exact_boxes(
    several: Chapter, iou: float
) -> None:
    places = vary(several, ROUGHNESS)
    found = gains(places, iou=iou)
    assert [(one.arm, one.x) for one in found] == [("cpggan-4k", 0.0), ("cpggan-4k", 2.0)]
    for one, place in zip(found, places.values(), strict=True):
        tested = {arm: answers(runs[0]).among("annotated") for arm, runs in place.items()}
        outcomes = {arm: [given.outcomes("exact")] for arm, given in tested.items()}
        baseline, patients = outcomes.pop("real"), tested["real"].patients
        expected = detection_comparison.compare(baseline, outcomes, patients, iou=iou)
        assert one.differences == expected["cpggan-4k"]
        assert set(MEASURES) < set(one.differences)


def finding(run: Run, folder: Path, kind: str | None) -> Run:
    """The run with these of its test slices' boxes as all that it finds, or with nothing."""
    given = answers(run)
    truth = given.truths[kind or "exact"]
    order = np.argsort(truth.images, kind="stable")[: len(truth.images) if kind else 0]
    found = Detections(truth.images[order], truth.boxes[order], np.full(len(order), 0.5))
    folder.mkdir()
    content = packed(replace(given, found=found), SIZE)
    (folder / DETECTIONS).write_bytes(content)
    return Run(folder, run.record)


def test_whoever_finds_the_exact_boxes_gains_all_at_every_roughness(
    several: Chapter, tmp_path: Path
) -> None:
    places = {
        x: {
            "real": [finding(place["real"][0], tmp_path / f"real{x}", None)],
            "cpggan-4k": [finding(place["cpggan-4k"][0], tmp_path / f"arm{x}", "exact")],
        }
        for x, place in vary(several, ROUGHNESS).items()
    }
    for slices in SLICES:
        for measure in MEASURES:
            exact = gains(places, slices=slices)
            assert [one.differences[measure].value for one in exact] == [1, 1]
            at_none, at_two = gains(places, slices=slices, truth="rough")
            assert at_none.differences[measure].value == 1
            assert at_two.differences[measure].value < 1


@pytest.fixture
def committed(chapter5: Chapter) -> dict[str, Run]:
    """As study runs are named: the baseline and an arm, and variants of both experiments."""
    found: dict[str, Run] = {}
    for variant, changes in {
        "": {}, "@rough0": {"roughness": 0.0}, "@rough2": {"roughness": 2.0},
        "@patients2": {"train_patients": 2}, "@thesis_loss": {"detector_loss": "bce"},
    }.items():  # fmt: skip
        there = changed(chapter5, **changes)
        for arm in ("real", "cpggan-4k"):
            setup = f"arm-{arm}{variant}-seed0"
            run = train_arm(there, arm, 0)
            found[setup] = replace(run, record=replace(run.record, setup=setup))
    more = train_arm(chapter5, "cpggan-normal-4k", 0)
    return {**found, more.record.setup: more}


def setups(committed: dict[str, Run], name: str) -> dict[float, dict[str, list[str]]]:
    return {
        x: {arm: [run.record.setup for run in runs] for arm, runs in place.items()}
        for x, place in committed_places(committed, EXPERIMENTS[name]).items()
    }


def both(variant: str) -> dict[str, list[str]]:
    return {arm: [f"arm-{arm}{variant}-seed0"] for arm in ("real", "cpggan-4k")}


def test_committed_variants_are_set_beside_the_runs_of_none(committed: dict[str, Run]) -> None:
    assert setups(committed, "roughness") == {0: both("@rough0"), 1: both(""), 2: both("@rough2")}
    assert list(setups(committed, "roughness")) == [0, 1, 2]
    assert setups(committed, "patients") == {2: both("@patients2"), 3: both("")}
    for experiment in EXPERIMENTS.values():
        places = committed_places(committed, experiment)
        assert [one.x for one in gains(places, iou=0.25)] == list(places)


def test_a_variant_waits_for_its_own_baseline(committed: dict[str, Run]) -> None:
    lone = {setup: run for setup, run in committed.items() if setup != "arm-real@rough0-seed0"}
    assert list(setups(lone, "roughness")) == [1, 2]
    assert setups({**lone, "cpggan-64@rough0": lone["arm-real-seed0"]}, "roughness") == setups(
        lone, "roughness"
    )
    unvaried = {setup: run for setup, run in committed.items() if "@" not in setup}
    assert setups(unvaried, "roughness") == setups({}, "roughness") == {}


def test_variants_are_no_arms_of_the_table(committed: dict[str, Run]) -> None:
    found = arms.committed_arms(committed)
    assert {arm: [run.record.setup for run in own] for arm, own in found.items()} == {
        **both(""), "cpggan-normal-4k": ["arm-cpggan-normal-4k-seed0"],
    }  # fmt: skip


def test_planned_variants_are_what_their_names_say() -> None:
    study = project_root() / "notebooks" / "params" / "ch5_cpggan.study.yaml"
    assert yaml.safe_load(study.read_text(encoding="utf-8"))["roughness"] == STUDY_ROUGHNESS
    plan = yaml.safe_load((results_root() / "runs.yaml").read_text(encoding="utf-8"))
    planned: dict[str, set[str]] = {}
    for item in plan:
        setup, variant = split_variant(item["setup"])
        for experiment in EXPERIMENTS.values():
            if item["chapter"] == "ch5" and variant.startswith(experiment.variant):
                value = re.fullmatch(rf"{experiment.variant}([0-9]+)", variant)
                assert value
                assert item["overrides"][experiment.parameter] == float(value[1])
                planned.setdefault(variant, set()).add(setup)
    assert {"rough0", "rough2", "patients21"} <= set(planned)
    for planned_setups in planned.values():
        detectors = {parts for one in planned_setups if (parts := parts_of_arm_setup(one))}
        assert detectors == {(arm, seed) for arm in ("real", "cpggan-4k") for seed in range(3)}
        assert "cpggan-64" in planned_setups


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"vary_roughness": (-1.0,)}, "vary_roughness: is (-1.0,)"),
        ({"vary_roughness": (1.0, 1.0)}, "vary_roughness: names 1.0 twice"),
        ({"vary_patients": (-1,)}, "vary_patients: is (-1,)"),
        ({"vary_arms": ("real", "real")}, "vary_arms: names 'real' twice"),
        ({"vary_arms": ("cpggan",)}, "vary_arms: 'cpggan' is unknown"),
        (
            {"gans": ("cpggan-normal",), "arms": ("real",)},
            "vary_arms: cpggan-4k adds images of cpggan, which is not among gans",
        ),
        (
            {"vary_arms": ("real", "cpggan-12k"), "pool_images": 23},
            "pool_images: is 23, but cpggan-12k takes 24",
        ),
    ],
)
def test_impossible_values_are_one_line(several: Chapter, changes: dict, problem: str) -> None:
    with pytest.raises(PathoganError) as refused:
        replace(several.parameters, **{"arms": ("real",), **changes})
    assert told(refused).startswith(problem)


def test_arms_that_are_not_varied_need_no_gan(several: Chapter) -> None:
    p = replace(
        several.parameters, gans=("cpggan-normal",), arms=("real",), vary_roughness=(),
        vary_patients=(),
    )  # fmt: skip
    assert "cpggan-4k" in p.vary_arms
